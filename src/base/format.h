/* format.h - lets the compiler check the arguments of functions like printf. */
#ifndef KILN_BASE_FORMAT_H
#define KILN_BASE_FORMAT_H

#if defined(__MINGW32__) && !defined(__clang__)
#define KILN_FORMAT(format_at, first_at) __attribute__((format(gnu_printf, format_at, first_at)))
#elif defined(__GNUC__)
#define KILN_FORMAT(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#else
#define KILN_FORMAT(format_at, first_at)
#endif

#endif
