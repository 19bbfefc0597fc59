/* replay.c - a program that runs again writes no descriptor, and allocates no set. */
#include <kiln/kiln.h>

#include "support/nets.h"
#include "vulkan/vk.h"

enum { BATCH = 2, RUNS = 4 };

/* Calls of the driver since count_calls. */
static int writes, sets;
static PFN_vkUpdateDescriptorSets write_sets;
static PFN_vkAllocateDescriptorSets allocate_sets;

static void VKAPI_CALL counted_writes(VkDevice device, uint32_t count, const VkWriteDescriptorSet *write,
                                      uint32_t copies, const VkCopyDescriptorSet *copy)
{
    writes++;
    write_sets(device, count, write, copies, copy);
}

static VkResult VKAPI_CALL counted_sets(VkDevice device, const VkDescriptorSetAllocateInfo *info,
                                        VkDescriptorSet *out)
{
    sets++;
    return allocate_sets(device, info, out);
}

static void count_calls(kiln_device *device)
{
    struct vk_device *dev = (struct vk_device *)device;
    write_sets = dev->api.vkUpdateDescriptorSets;
    allocate_sets = dev->api.vkAllocateDescriptorSets;
    dev->api.vkUpdateDescriptorSets = counted_writes;
    dev->api.vkAllocateDescriptorSets = counted_sets;
    writes = sets = 0;
}

static void learn(struct kiln_test_learner *l, kiln_program *p)
{
    double loss[1];
    kiln_test_train(l, p, BATCH, 1, loss);
}

Test(vulkan_replay, only_the_first_run_writes_descriptors, .timeout = 120)
{
    const char *name;
    for (int i = 0; (name = kiln_test_device(i)); i++) {
        kiln_device *dev = kiln_test_open(name);
        if (kiln_device_get_info(dev)->backend == KILN_BACKEND_VULKAN) {
            struct kiln_test_learner l =
                kiln_test_learner(kiln_test_lenet, &(kiln_minimize_params){.by = KILN_ADAM});
            kiln_program *p = NULL;
            const kiln_program_params params = {.run = KILN_RUN(l.step, l.loss), .train = true};
            cr_assert_eq(kiln_program_create(&p, dev, l.g, l.weights, &params), KILN_OK);
            count_calls(dev);
            learn(&l, p);
            cr_expect(writes > 0 && sets > 0, "what is counted is what the first run calls");
            writes = sets = 0;
            for (int run = 0; run < RUNS; run++)
                learn(&l, p);
            cr_expect_eq(writes, 0, "%d writes of descriptors in %d runs after the first", writes, RUNS);
            cr_expect_eq(sets, 0);
            kiln_program_destroy(&p);
            kiln_test_learner_finish(&l);
        }
        kiln_test_close(&dev);
    }
}
