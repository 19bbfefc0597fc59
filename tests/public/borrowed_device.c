/* borrowed_device.c - the application owns the VkInstance, VkDevice and queue, and lends them together with VkBuffers that are a
 * program's input and output. Skipped where there is no Vulkan loader. */
#include "expect.h"

#define VOLK_IMPLEMENTATION
#include <volk.h>

static VkInstance instance;
static VkPhysicalDevice physical;
static VkDevice device;
static VkQueue queue;
static int locks;

static void lock(void *user)
{
    (void)user;
    locks++;
}

static bool make_device(void)
{
    const float priority = 1;
    const VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                   .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &app};
    const VkDeviceQueueCreateInfo queues = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                            .queueCount = 1,
                                            .pQueuePriorities = &priority};
    const VkDeviceCreateInfo create = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                       .queueCreateInfoCount = 1,
                                       .pQueueCreateInfos = &queues};
    uint32_t one = 1;
    if (volkInitialize() || vkCreateInstance(&info, NULL, &instance))
        return false;
    volkLoadInstance(instance);
    if (vkEnumeratePhysicalDevices(instance, &one, &physical) < 0 || !one ||
        vkCreateDevice(physical, &create, NULL, &device))
        return false;
    volkLoadDevice(device);
    vkGetDeviceQueue(device, 0, 0, &queue);
    return true;
}

/* A host-visible buffer of the application, with its memory mapped. */
static VkBuffer make_buffer(VkDeviceSize bytes, VkDeviceMemory *memory, float **map)
{
    VkBuffer b = VK_NULL_HANDLE;
    VkMemoryRequirements need;
    VkPhysicalDeviceMemoryProperties have;
    uint32_t type = 0;
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                     .size = bytes,
                                     .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                              VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                              VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                                              VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT};
    EXPECT(vkCreateBuffer(device, &info, NULL, &b) == VK_SUCCESS);
    vkGetBufferMemoryRequirements(device, b, &need);
    vkGetPhysicalDeviceMemoryProperties(physical, &have);
    const VkMemoryPropertyFlags wanted =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    while (!(need.memoryTypeBits >> type & 1) || (have.memoryTypes[type].propertyFlags & wanted) != wanted)
        type++;
    const VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                           .allocationSize = need.size,
                                           .memoryTypeIndex = type};
    EXPECT(vkAllocateMemory(device, &allocate, NULL, memory) == VK_SUCCESS);
    EXPECT(vkBindBufferMemory(device, b, *memory, 0) == VK_SUCCESS);
    EXPECT(vkMapMemory(device, *memory, 0, bytes, 0, (void **)map) == VK_SUCCESS);
    return b;
}

static void use_it(void)
{
    kiln_device *dev = NULL;
    kiln_graph *g = NULL;
    kiln_weights *w = NULL;
    kiln_program *p = NULL;
    VkDeviceMemory memory[2];
    float *x, *y;
    VkBuffer in = make_buffer(4096, &memory[0], &x), out = make_buffer(4096, &memory[1], &y);
    kiln_vulkan_borrow borrow = {.instance = instance,
                                 .physical = physical,
                                 .device = device,
                                 .queue = queue,
                                 .lock = lock,
                                 .unlock = lock};
    memcpy(&borrow.get_instance_proc, &vkGetInstanceProcAddr, sizeof borrow.get_instance_proc);
    TRY(kiln_device_open(&dev, &(kiln_device_params){.borrow = &borrow}));
    TRY(kiln_graph_create(&g, NULL));
    kiln_tensor a = kiln_input(g, "a", KILN_F32, KILN_SHAPE(1024)), b = kiln_shift(g, kiln_square(g, a), 1);
    TRY(kiln_weights_create(&w, g, NULL));
    const kiln_program_buffer buffers[] = {{a, in, 0, 4096}, {b, out, 0, 4096}};
    TRY(kiln_program_create(
        &p, dev, g, w, &(kiln_program_params){.run = KILN_RUN(b), .buffers = buffers, .buffer_count = 2}));
    fill(x, 1024, 12);
    TRY(kiln_program_run(p));
    TRY(kiln_program_wait(p));
    for (int i = 0; i < 1024; i++)
        EXPECT_NEAR(y[i], x[i] * x[i] + 1, 1e-6);
    EXPECT(locks > 0 && locks % 2 == 0);

    kiln_program_destroy(&p);
    kiln_weights_destroy(&w);
    kiln_graph_destroy(&g);
    kiln_device_close(&dev);
    for (int i = 0; i < 2; i++) {
        vkDestroyBuffer(device, i ? out : in, NULL);
        vkFreeMemory(device, memory[i], NULL);
    }
}

static void run(const char *name)
{
    if (!strcmp(name, "cpu") || !make_device()) {
        printf("%s: skipped, no Vulkan device to lend\n", name);
        return;
    }
    use_it();
    vkDestroyDevice(device, NULL);
    vkDestroyInstance(instance, NULL);
}

int main(void)
{
    return expect_on_devices(run);
}
