/* series.c - any bytes as a CSV file: a column is read or refused, and so are its lines as texts. */
#include <kiln/data.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);
    kiln_array series;
    kiln_texts *texts;

    be_silent();
    for (int column = 1; column <= 3; column++) {
        if (!kiln_series_load(&series, path, column))
            touch(series.data, series.bytes);
        kiln_array_free(&series);
        if (!kiln_texts_load(&texts, path, &(kiln_texts_params){.column = column}))
            for (int64_t i = 0; i < kiln_texts_count(texts); i++)
                touch(kiln_texts_get(texts, i), strlen(kiln_texts_get(texts, i)));
        kiln_texts_destroy(&texts);
    }
    return 0;
}
