/* four.glsl - what kiln.glsl has for one value, for four at once. */
bvec4 kiln_is_nan_four(vec4 a) { return greaterThan(floatBitsToUint(a) & 0x7fffffffu, uvec4(KILN_INFINITY_BITS)); }
vec4 kiln_max_four(vec4 a, vec4 b) { return mix(mix(max(a, b), b, kiln_is_nan_four(b)), a, kiln_is_nan_four(a)); }
vec4 kiln_min_four(vec4 a, vec4 b) { return mix(mix(min(a, b), b, kiln_is_nan_four(b)), a, kiln_is_nan_four(a)); }
