#version 450
#extension GL_KHR_cooperative_matrix : require
/* coop_known - does the compiler know KHR's cooperative matrices? If so, this compiles; it is never run. */
void main() {}
