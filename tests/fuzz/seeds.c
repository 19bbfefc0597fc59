/* seeds.c - what the fuzzer of ONNX models begins with, and what it once found, without a fuzzer: in every build, a test. */
#include <dirent.h>

#include "base/file.h"

#include "fuzz/fuzz.h"

static void try_file(const char *path)
{
    struct kiln_file file;
    printf("%s\n", path);
    fflush(stdout); /* the last line of a crash says where */
    if (kiln_file_map(&file, path))
        abort();
    LLVMFuzzerTestOneInput(file.data, file.size);
    kiln_file_unmap(&file);
}

int main(void)
{
    const char *root = getenv("KILN_TEST_ROOT");
    char folder[4096], path[8192];
    int count = 0;

    snprintf(folder, sizeof folder, "%s/fuzz/seeds/onnx", root ? root : "tests");
    DIR *dir = opendir(folder);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] == '.')
            continue;
        try_file(path);
        count++;
    }
    if (dir)
        closedir(dir);
    return count == 0;
}
