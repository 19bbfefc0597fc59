/*
 * pipeline.c - one pipeline a shader and set of constants, kept until the device closes.
 *
 * Sizes travel in parameter blocks, so few pipelines serve all plans. The lock is held to look and to
 * insert, not while the driver compiles: of two threads that build the same one, the later throws its own
 * away.
 *
 * Set 0 of every layout: the kernel's bindings by their numbers (storage buffers, or texel buffers where
 * the variant reads so), then the parameter block where it is too large to be pushed, then scratch where
 * the variant asks for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/threads.h"
#include "vulkan/spirv.h"
#include "vulkan/vk.h"

/* Keys --------------------------------------------------------------------------------------------------- */

static uint32_t lanes_of(const kiln_variant *v)
{
    return v->lanes ? v->lanes : 64;
}

/* Where the words lie, and some of them: modules have up to 300 KB, and an application may unload one and
 * load another to the same place. */
static uint64_t hash_code(const kiln_spirv *code)
{
    const size_t step = code->count / 64 + 1;
    uint64_t hash = kiln_hash(KILN_HASH_START, &code->words, sizeof code->words);
    hash = kiln_hash(hash, &code->count, sizeof code->count);
    for (size_t i = 0; i < code->count; i += step)
        hash = kiln_hash(hash, &code->words[i], sizeof code->words[i]);
    return hash;
}

static struct vk_pipeline_key key_of(const kiln_dispatch *d)
{
    const kiln_variant *v = d->variant;
    struct vk_pipeline_key key = {
        .code = hash_code(kiln_variant_spirv(v, d)),
        .lanes = lanes_of(v),
        .halves = d->halves,
        .constant_count = (uint32_t)d->constant_count,
        .block = d->kernel->block_size > KILN_PUSH_BYTES,
    };
    if (v->tuning_count > 0)
        key.code = kiln_hash(key.code, v->tuning, (size_t)v->tuning_count * sizeof *v->tuning);
    memcpy(key.constants, d->constants, (size_t)d->constant_count * sizeof *d->constants);
    for (int i = 0; i < d->kernel->bindings; i++) {
        const bool texels = v->texels >> i & 1;
        if (d->kernel->access[i] != KILN_UNUSED)
            *(texels ? &key.texels : &key.storage) |= 1u << i;
    }
    if (v->scratch)
        *(v->scratch_fours ? &key.texels : &key.storage) |= 1u << VK_BINDING_SCRATCH;
    return key;
}

static struct vk_pipeline **slot_of(struct vk_pipelines *all, const struct vk_pipeline_key *key)
{
    return &all->slot[kiln_hash(KILN_HASH_START, key, sizeof *key) % VK_PIPELINE_SLOTS];
}

static struct vk_pipeline *find(struct vk_pipelines *all, const struct vk_pipeline_key *key)
{
    struct vk_pipeline *p = *slot_of(all, key);
    while (p && memcmp(&p->key, key, sizeof *key) != 0)
        p = p->next;
    return p;
}

/* Building ----------------------------------------------------------------------------------------------- */

static void destroy_pipeline(struct vk_device *dev, struct vk_pipeline *p)
{
    dev->api.vkDestroyPipeline(dev->handle, p->handle, NULL);
    dev->api.vkDestroyPipelineLayout(dev->handle, p->layout, NULL);
    dev->api.vkDestroyDescriptorSetLayout(dev->handle, p->set_layout, NULL);
    free(p->compiled.statistic);
    free(p);
}

static kiln_status create_layout(struct vk_device *dev, struct vk_pipeline *p)
{
    kiln_status status = KILN_OK;
    VkDescriptorSetLayoutBinding bindings[VK_BINDING_SCRATCH + 1];
    uint32_t count = 0;
    for (uint32_t i = 0; i <= VK_BINDING_SCRATCH; i++) {
        const bool storage = p->key.storage >> i & 1, texels = p->key.texels >> i & 1;
        const bool block = i == VK_BINDING_BLOCK && p->key.block;
        if (storage || texels || block)
            bindings[count++] = (VkDescriptorSetLayoutBinding){
                .binding = i,
                .descriptorType = storage  ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                  : texels ? kiln_vk_texels(i)
                                           : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
                .descriptorCount = 1,
                .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
            };
    }
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = count,
        .pBindings = bindings,
    };
    VK(dev, dev->api.vkCreateDescriptorSetLayout(dev->handle, &set, NULL, &p->set_layout));

    const VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 8 + KILN_PUSH_BYTES};
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &p->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &push,
    };
    VK(dev, dev->api.vkCreatePipelineLayout(dev->handle, &layout, NULL, &p->layout));

fail:
    return status;
}

enum { MOST_CONSTANTS = 64 };

/* Constants for the driver to fill in, where the words could not be specialized. */
struct specialization {
    VkSpecializationInfo info;
    VkSpecializationMapEntry entry[MOST_CONSTANTS];
    uint32_t value[MOST_CONSTANTS];
};

static void fill_specialization(struct specialization *s, const struct spirv_constants *c)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < MOST_CONSTANTS; index++) {
        if (!kiln_spirv_constant(c, index, &s->value[count]))
            continue;
        s->entry[count] = (VkSpecializationMapEntry){index, count * 4, 4};
        count++;
    }
    s->info = (VkSpecializationInfo){count, s->entry, count * 4, s->value};
}

static kiln_status fail_pipeline(struct vk_device *dev, const kiln_dispatch *d, VkResult result)
{
    char call[128];
    (void)snprintf(call, sizeof call, "vkCreateComputePipelines for %s/%s", d->kernel->name,
                   d->variant->name);
    return kiln_vk_fail(dev, call, result);
}

static kiln_status create_handle(struct vk_device *dev, struct vk_pipeline *p, const kiln_dispatch *d)
{
    const kiln_variant *v = d->variant;
    const kiln_spirv *spirv = kiln_variant_spirv(v, d);
    const struct spirv_constants constants = {
        .lanes = lanes_of(v),
        .halves = d->halves,
        .nan = dev->common.caps.nan,
        .coop = dev->common.caps.coop_size,
        .meaning = d->constants,
        .meaning_count = d->constant_count,
        .tuning = v->tuning,
        .tuning_count = v->tuning_count,
    };
    kiln_status status = KILN_OK;
    VkShaderModule module = VK_NULL_HANDLE;
    struct specialization left;
    uint32_t *words;
    size_t count;
    const bool special = kiln_spirv_specialize(spirv, &constants, &words, &count);
    fill_specialization(&left, &constants);

    const VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = (special ? count : spirv->count) * sizeof *words,
        .pCode = special ? words : spirv->words,
    };
    VK(dev, dev->api.vkCreateShaderModule(dev->handle, &code, NULL, &module));
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = dev->features.tells ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main",
                .pSpecializationInfo = special ? NULL : &left.info,
            },
        .layout = p->layout,
    };
    const double begun = kiln_seconds();
    const VkResult result =
        dev->api.vkCreateComputePipelines(dev->handle, dev->pipelines.cache, 1, &info, NULL, &p->handle);
    p->compiled.seconds = kiln_seconds() - begun;
    if (result != VK_SUCCESS)
        status = fail_pipeline(dev, d, result);
    else
        kiln_log_line(KILN_LOG_DEBUG, "pipeline %s/%s%s: %zu of %zu words, %.1f ms", d->kernel->name, v->name,
                      d->halves ? " (half)" : "", code.codeSize / 4, spirv->count, 1e3 * p->compiled.seconds);

fail:
    dev->api.vkDestroyShaderModule(dev->handle, module, NULL);
    free(words);
    return status;
}

static kiln_status build(struct vk_device *dev, const kiln_dispatch *d, const struct vk_pipeline_key *key,
                         struct vk_pipeline **out)
{
    struct vk_pipeline *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return kiln_fail(KILN_ERROR_MEMORY, "%s/%s: no memory for a pipeline", d->kernel->name,
                         d->variant->name);
    p->key = *key;
    kiln_status status = create_layout(dev, p);
    if (status == KILN_OK)
        status = create_handle(dev, p, d);
    if (status == KILN_OK && dev->features.tells)
        status = kiln_vk_read_statistics(dev, p);
    if (status) {
        destroy_pipeline(dev, p);
        return status;
    }
    *out = p;
    return KILN_OK;
}

kiln_status kiln_vk_pipeline_get(struct vk_device *dev, const kiln_dispatch *d,
                                 const struct vk_pipeline **out)
{
    struct vk_pipelines *all = &dev->pipelines;
    struct vk_pipeline *built = NULL;
    *out = NULL;
    const kiln_spirv *spirv = kiln_variant_spirv(d->variant, d);
    if (!spirv || !spirv->words)
        return kiln_fail(KILN_ERROR_UNSUPPORTED, "%s/%s: no SPIR-V built in", d->kernel->name,
                         d->variant->name);
    const struct vk_pipeline_key key = key_of(d);
    pthread_mutex_lock(&all->lock);
    *out = find(all, &key);
    pthread_mutex_unlock(&all->lock);
    if (*out)
        return KILN_OK;

    const kiln_status status = build(dev, d, &key, &built);
    if (status)
        return status;
    pthread_mutex_lock(&all->lock);
    *out = find(all, &key);
    if (!*out) {
        struct vk_pipeline **slot = slot_of(all, &key);
        built->next = *slot;
        *slot = built;
        *out = built;
        built = NULL;
        all->built++;
    }
    pthread_mutex_unlock(&all->lock);
    if (built)
        destroy_pipeline(dev, built);
    return KILN_OK;
}

kiln_status kiln_vk_compile(kiln_device *dev, const kiln_dispatch *d, const struct kiln_compiled **out)
{
    const struct vk_pipeline *p;
    const kiln_status status = kiln_vk_pipeline_get((struct vk_device *)dev, d, &p);
    *out = status ? NULL : &p->compiled;
    return status;
}

/* The whole ---------------------------------------------------------------------------------------------- */

void kiln_vk_pipelines_finish(struct vk_device *dev)
{
    for (int i = 0; i < VK_PIPELINE_SLOTS; i++) {
        for (struct vk_pipeline *p = dev->pipelines.slot[i], *next; p; p = next) {
            next = p->next;
            destroy_pipeline(dev, p);
        }
    }
}
