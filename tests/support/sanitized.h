/* sanitized.h - whether sanitizers are in this build: they take time and memory of their own, which tests of these do not count. */
#ifndef KILN_TESTS_SUPPORT_SANITIZED_H
#define KILN_TESTS_SUPPORT_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
