/* cmd_devices.c - kiln devices: what there is to run on, best first. */
#include <stdio.h>

#include <kiln/device.h>

#include "args.h"
#include "commands.h"
#include "json.h"

static const char *kind_of(const kiln_device_info *info)
{
    if (info->backend != KILN_BACKEND_VULKAN)
        return info->backend == KILN_BACKEND_CPU ? "cpu" : "null";
    return info->software ? "software" : info->discrete ? "discrete gpu" : "gpu";
}

static const char *backend_name(kiln_backend backend)
{
    return backend == KILN_BACKEND_VULKAN ? "vulkan" : backend == KILN_BACKEND_CPU ? "cpu" : "null";
}

static void print_device(const kiln_device_info *info)
{
    printf("%-10s  %-12s  %s\n", info->name, kind_of(info), info->title);
    if (info->driver[0])
        printf("%-26s%s\n", "", info->driver);
    if (info->memory)
        printf("%-26s%.1f GiB\n", "", (double)info->memory / (1 << 30));
    if (info->matrices[0])
        printf("%-26smatrices: %s\n", "", info->matrices);
}

static void print_json(const kiln_device_info *info, int count)
{
    struct json j = {0};

    json_open(&j, NULL, '{');
    json_open(&j, "devices", '[');
    for (int i = 0; i < count; i++) {
        json_open(&j, NULL, '{');
        json_text(&j, "name", info[i].name);
        json_text(&j, "title", info[i].title);
        json_text(&j, "driver", info[i].driver);
        json_text(&j, "backend", backend_name(info[i].backend));
        json_bool(&j, "software", info[i].software);
        json_bool(&j, "discrete", info[i].discrete);
        json_number(&j, "memory", (double)info[i].memory);
        json_number(&j, "max_binding", (double)info[i].max_binding);
        json_number(&j, "max_invocations", info[i].max_invocations);
        json_number(&j, "max_shared", info[i].max_shared);
        json_number(&j, "subgroup", info[i].subgroup);
        json_bool(&j, "half", info[i].half);
        json_text(&j, "matrices", info[i].matrices);
        json_close(&j);
    }
    json_close(&j);
    json_close(&j);
}

int cmd_devices(int argc, char **argv)
{
    bool json = false;
    const struct args args = {
        .command = "devices",
        .about =
            "List the devices that kiln can run on, best first, by the names that --device and KILN_DEVICE\n"
            "take. A Vulkan driver that runs on the CPU is used only when it is asked for.",
        .options =
            (const struct args_option[]){{"json", NULL, ARGS_FLAG, &json, "print one JSON document"}, {0}},
    };
    kiln_device_info info[32];
    int code, count;

    if (!args_parse(&args, argc, argv, &code))
        return code;
    count = kiln_device_list(info, 32);
    count = count < 32 ? count : 32;
    if (json)
        print_json(info, count);
    for (int i = 0; i < count && !json; i++)
        print_device(&info[i]);
    return ARGS_DONE;
}
