/* Which instruction sets this CPU and its operating system can run. The only file that asks. */
#include "kernels.h"

#include <string.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <cpuid.h>

/* State that the operating system saves on a context switch (XCR0). */
static uint64_t saved_state(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Level 2, 3 or 4 of the x86-64 psABI micro-architecture levels; 1 below them, 5 for level 4 with AVX512-VNNI. */
static int x86_level(void)
{
    enum { SSE3_SSSE3_CX16_SSE4_POPCNT = 1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23 };
    enum { FMA_MOVBE_OSXSAVE_AVX_F16C = 1 << 12 | 1 << 22 | 1 << 27 | 1 << 28 | 1 << 29 };
    enum { BMI1_AVX2_BMI2 = 1 << 3 | 1 << 5 | 1 << 8 };
    const uint32_t avx512_f_dq_cd_bw_vl = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    enum { AVX512_VNNI = 1 << 11 };
    enum { SAVES_YMM = 6, SAVES_ZMM = 0xe6 };
    uint32_t a, b, c, d, ebx7 = 0, ecx7 = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & SSE3_SSSE3_CX16_SSE4_POPCNT) != SSE3_SSSE3_CX16_SSE4_POPCNT)
        return 1;
    if ((c & FMA_MOVBE_OSXSAVE_AVX_F16C) != FMA_MOVBE_OSXSAVE_AVX_F16C || (saved_state() & SAVES_YMM) != SAVES_YMM)
        return 2;
    if (!__get_cpuid_count(7, 0, &a, &ebx7, &ecx7, &d) || (ebx7 & BMI1_AVX2_BMI2) != BMI1_AVX2_BMI2)
        return 2;
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !(c & 1 << 5)) /* LZCNT */
        return 2;
    if ((ebx7 & avx512_f_dq_cd_bw_vl) != avx512_f_dq_cd_bw_vl || (saved_state() & SAVES_ZMM) != SAVES_ZMM)
        return 3;
    return ecx7 & AVX512_VNNI ? 5 : 4;
}
#else
static int x86_level(void) { return 0; }
#endif

#define DECLARE(isa, level) extern const kernels kernels_##isa;
#define CONSIDER(isa, level)  \
    if (cpu_level >= (level)) \
        tables[count++] = &kernels_##isa;

#define TAKE(isa, level)                     \
    within |= cap && strcmp(cap, #isa) == 0; \
    if (within && cpu_level >= (level))      \
        return &kernels_##isa;

/* Rows (isa, x86_level it needs), widest first: made by meson.build from its list of instruction sets. */
#include "isa_list.h"
FOR_EACH_ISA(DECLARE)

int kernel_tables(const kernels *tables[8])
{
    const int cpu_level = x86_level();
    int count = 0;
    FOR_EACH_ISA(CONSIDER)
    return count;
}

const kernels *kernel_table(const char *cap)
{
    const int cpu_level = x86_level();
    int within = !cap || !*cap;
    FOR_EACH_ISA(TAKE)
    return NULL;
}
