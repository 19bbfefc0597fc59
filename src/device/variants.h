/* variants.h - the fast CPU variants by name: the kernels' lists above the seam name them, src/cpu defines them. */
#ifndef KILN_DEVICE_VARIANTS_H
#define KILN_DEVICE_VARIANTS_H

#include <kiln/extend.h>

extern const kiln_variant kiln_cpu_attention_panels, kiln_cpu_attention_grad_panels,
    kiln_cpu_attention_delta_rows;
extern const kiln_variant kiln_cpu_border_rows, kiln_cpu_border_grad_rows;
extern const kiln_variant kiln_cpu_chain_blocks, kiln_cpu_chain_bytes, kiln_cpu_chain_strided_blocks,
    kiln_cpu_reduce_lanes;
extern const kiln_variant kiln_cpu_moments_lanes, kiln_cpu_softmax_rows, kiln_cpu_dropout_blocks,
    kiln_cpu_random_blocks;
extern const kiln_variant kiln_cpu_cross_entropy_rows, kiln_cpu_cross_entropy_grad_rows;
extern const kiln_variant kiln_cpu_ctc_rows, kiln_cpu_ctc_grad_frames;
extern const kiln_variant kiln_cpu_copy_tiles, kiln_cpu_cumulate_rows, kiln_cpu_join_bytes_rows,
    kiln_cpu_turn_bytes_squares;
extern const kiln_variant kiln_cpu_grid_sample_blocks;
extern const kiln_variant kiln_cpu_gather_rows, kiln_cpu_scatter_ranges;
extern const kiln_variant kiln_cpu_order_rows, kiln_cpu_order_keys_blocks;
extern const kiln_variant kiln_cpu_radix_count_parts, kiln_cpu_radix_move_parts;
extern const kiln_variant kiln_cpu_lrn_blocks, kiln_cpu_lrn_grad_blocks;
extern const kiln_variant kiln_cpu_nms_mask_words, kiln_cpu_nms_scan_rows;
extern const kiln_variant kiln_cpu_normalize_rows, kiln_cpu_normalize_grad_rows,
    kiln_cpu_normalize_sums_parts;
extern const kiln_variant kiln_cpu_roi_boxes, kiln_cpu_roi_grad_planes;
extern const kiln_variant kiln_cpu_rotary_rows;
extern const kiln_variant kiln_cpu_pool_planes, kiln_cpu_pool_grad_planes, kiln_cpu_pool_last_rows;
extern const kiln_variant kiln_cpu_recurrent_slices, kiln_cpu_recurrent_grad_slices;
extern const kiln_variant kiln_cpu_resize_rows;
extern const kiln_variant kiln_cpu_update_rows, kiln_cpu_accumulate_rows, kiln_cpu_row_sums_count;
extern const kiln_variant kiln_cpu_matmul_few, kiln_cpu_matmul_packed, kiln_cpu_matmul_packed_blocks;
extern const kiln_variant kiln_cpu_pack_bytes_rows, kiln_cpu_matmul_bytes_tiles, kiln_cpu_conv_bytes_tiles;
extern const kiln_variant kiln_cpu_pack_panels_plain, kiln_cpu_conv_panels_tiles, kiln_cpu_conv_each_rows;
extern const kiln_variant kiln_cpu_conv_depthwise_rows, kiln_cpu_conv_depthwise_planes, kiln_cpu_conv_taps,
    kiln_cpu_conv_grad_filter_dots, kiln_cpu_conv_grad_filter_lanes, kiln_cpu_conv_packed_runs,
    kiln_cpu_conv_pair_blocks, kiln_cpu_pack_columns_panels, kiln_cpu_conv_winograd_bands,
    kiln_cpu_conv_winograd_filters_blocks, kiln_cpu_conv_grad_winograd_blocks;

#endif
