/* Vectors of float32, one vocabulary for every instruction set.
 *
 * The only file that looks at __AVX or holds an intrinsic. Each block below defines the same names:
 *   LANES               float32 values in a vector
 *   TILE_CENTERS        centers of a register tile, so that TILE_VECS * TILE_CENTERS sums, TILE_VECS vectors
 *                       of samples and one broadcast center fit the register file
 *   vec, vint, vmask    LANES float32, LANES int32, LANES truth values
 *   v_load v_store v_splat v_add v_sub v_mul v_min v_max v_sqrt      element by element
 *   v_fnmadd(s, a, b)   s - a * b, fused where the instruction set can (two roundings on x86-64-v2)
 *   v_less(a, b)        a < b, false where either is NaN
 *   v_pick(m, a, b)     m ? a : b          vi_pick: the same for vint
 *   vi_splat vi_load vi_store vi_min vi_max vi_less
 *   v_bits(m)           lane i of the mask as bit i
 *   v_load_half         LANES values of a float16 row as float32, where HAS_HALF
 *   v_load_real         LANES values of a float32 or float64 row, (x - offset) * scale, as float32
 * Coordinates in low precision (prefix.h): CODE_FEATURES of them in a 32-bit code, whole numbers within CODE_LIMIT:
 * four if the instruction set multiplies bytes, else one float32. If CODE_LENGTH is not 0, it is the most length of the
 * vector of the first two numbers of all codes of a row, and of that of the last two:
 *   code, vcode                         a code; LANES codes, or LANES sums of their products
 *   vc_load vc_store vc_splat           element by element
 *   v_code(a)                           what a code can hold of each value
 *   vc_pack(part)                       CODE_FEATURES vectors of such values into codes of samples
 *   code_of_center(c)                   a sample's code as v_dot wants a center's
 *   code_start(s, c)                    where the sum must then start, given where it must for the codes before
 *   v_dot(s, sample, center)            s + product of codes, without rounding if they are whole numbers
 *   v_of_sum(s)                         sums as float32
 * Whole numbers of 16 or 8 bits in the lanes of a vint (quantized.h), without rounding:
 *   v_dot16(s, a, b)    s + the two products of a lane
 *   v_dot8(s, a, b)     s + the four products of a lane, where HAS_DOT8; a holds each number plus DOT8_BIAS
 * Without GCC or clang vectors are one float wide: correct, slow.
 */
#ifndef FASTKMEANS_VEC_H
#define FASTKMEANS_VEC_H

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 16
#define TILE_CENTERS 14 /* 28 sums + 2 samples + 1 center = 31 of 32 registers */
typedef __m512 vec;
typedef __m512i vint;
typedef __mmask16 vmask;
static inline vec v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vec a) { _mm512_storeu_ps(p, a); }
static inline vec v_splat(float a) { return _mm512_set1_ps(a); }
static inline vec v_add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm512_min_ps(a, b); }
static inline vec v_max(vec a, vec b) { return _mm512_max_ps(a, b); }
static inline vec v_sqrt(vec a) { return _mm512_sqrt_ps(a); }
static inline vec v_fnmadd(vec s, vec a, vec b) { return _mm512_fnmadd_ps(a, b, s); }
static inline vmask v_less(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vec v_pick(vmask m, vec a, vec b) { return _mm512_mask_mov_ps(b, m, a); }
static inline vint vi_pick(vmask m, vint a, vint b) { return _mm512_mask_mov_epi32(b, m, a); }
static inline vint vi_splat(int32_t a) { return _mm512_set1_epi32(a); }
static inline vint vi_load(const int32_t *p) { return _mm512_loadu_si512(p); }
static inline void vi_store(int32_t *p, vint a) { _mm512_storeu_si512(p, a); }
static inline vint vi_min(vint a, vint b) { return _mm512_min_epi32(a, b); }
static inline vint vi_max(vint a, vint b) { return _mm512_max_epi32(a, b); }
static inline vmask vi_less(vint a, vint b) { return _mm512_cmplt_epi32_mask(a, b); }
#if defined(__AVX512VNNI__)
static inline vint v_dot16(vint s, vint a, vint b) { return _mm512_dpwssd_epi32(s, a, b); }
#else
static inline vint v_dot16(vint s, vint a, vint b) { return _mm512_add_epi32(s, _mm512_madd_epi16(a, b)); }
#endif
/* Not `return m`: with both sanitizers, which leave few registers, gcc 12 stored the 16 bits of a mask and read 32
 * back. The upper half was rubbish, and "quantized" took a wrong label for proven. */
static inline uint32_t v_bits(vmask m) { return _cvtmask16_u32(m); }
#define HAS_HALF 1
static inline vec v_load_half(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p)); }
static inline vec v_load_double(const double *p, const double *offset, double scale)
{
    const __m512d s = _mm512_set1_pd(scale);
    const __m512d low = _mm512_mul_pd(_mm512_sub_pd(_mm512_loadu_pd(p), _mm512_loadu_pd(offset)), s);
    const __m512d high = _mm512_mul_pd(_mm512_sub_pd(_mm512_loadu_pd(p + 8), _mm512_loadu_pd(offset + 8)), s);
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}

#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define LANES 8
#define TILE_CENTERS 6 /* 12 sums + 2 samples + 1 center = 15 of 16 registers */
typedef __m256 vec;
typedef __m256i vint;
typedef __m256 vmask;
static inline vec v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vec a) { _mm256_storeu_ps(p, a); }
static inline vec v_splat(float a) { return _mm256_set1_ps(a); }
static inline vec v_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm256_min_ps(a, b); }
static inline vec v_max(vec a, vec b) { return _mm256_max_ps(a, b); }
static inline vec v_sqrt(vec a) { return _mm256_sqrt_ps(a); }
static inline vec v_fnmadd(vec s, vec a, vec b) { return _mm256_fnmadd_ps(a, b, s); }
static inline vmask v_less(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vec v_pick(vmask m, vec a, vec b) { return _mm256_blendv_ps(b, a, m); }
static inline vint vi_pick(vmask m, vint a, vint b)
{
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(b), _mm256_castsi256_ps(a), m));
}
static inline vint vi_splat(int32_t a) { return _mm256_set1_epi32(a); }
static inline vint vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vi_store(int32_t *p, vint a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline vint vi_min(vint a, vint b) { return _mm256_min_epi32(a, b); }
static inline vint vi_max(vint a, vint b) { return _mm256_max_epi32(a, b); }
static inline vmask vi_less(vint a, vint b) { return _mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a)); }
static inline vint v_dot16(vint s, vint a, vint b) { return _mm256_add_epi32(s, _mm256_madd_epi16(a, b)); }
static inline uint32_t v_bits(vmask m) { return (uint32_t)_mm256_movemask_ps(m); }
#if defined(__F16C__)
#define HAS_HALF 1
static inline vec v_load_half(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p)); }
#endif
static inline vec v_load_double(const double *p, const double *offset, double scale)
{
    const __m256d s = _mm256_set1_pd(scale);
    const __m256d low = _mm256_mul_pd(_mm256_sub_pd(_mm256_loadu_pd(p), _mm256_loadu_pd(offset)), s);
    const __m256d high = _mm256_mul_pd(_mm256_sub_pd(_mm256_loadu_pd(p + 4), _mm256_loadu_pd(offset + 4)), s);
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}

#elif defined(__SSE4_1__)
#include <smmintrin.h>
#define LANES 4
#define TILE_CENTERS 6 /* 12 sums + 2 samples + 1 center (and its product) = 16 of 16 registers */
typedef __m128 vec;
typedef __m128i vint;
typedef __m128 vmask;
static inline vec v_load(const float *p) { return _mm_loadu_ps(p); }
static inline void v_store(float *p, vec a) { _mm_storeu_ps(p, a); }
static inline vec v_splat(float a) { return _mm_set1_ps(a); }
static inline vec v_add(vec a, vec b) { return _mm_add_ps(a, b); }
static inline vec v_sub(vec a, vec b) { return _mm_sub_ps(a, b); }
static inline vec v_mul(vec a, vec b) { return _mm_mul_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm_min_ps(a, b); }
static inline vec v_max(vec a, vec b) { return _mm_max_ps(a, b); }
static inline vec v_sqrt(vec a) { return _mm_sqrt_ps(a); }
static inline vec v_fnmadd(vec s, vec a, vec b) { return _mm_sub_ps(s, _mm_mul_ps(a, b)); }
static inline vmask v_less(vec a, vec b) { return _mm_cmplt_ps(a, b); }
static inline vec v_pick(vmask m, vec a, vec b) { return _mm_blendv_ps(b, a, m); }
static inline vint vi_pick(vmask m, vint a, vint b)
{
    return _mm_castps_si128(_mm_blendv_ps(_mm_castsi128_ps(b), _mm_castsi128_ps(a), m));
}
static inline vint vi_splat(int32_t a) { return _mm_set1_epi32(a); }
static inline vint vi_load(const int32_t *p) { return _mm_loadu_si128((const __m128i *)p); }
static inline void vi_store(int32_t *p, vint a) { _mm_storeu_si128((__m128i *)p, a); }
static inline vint vi_min(vint a, vint b) { return _mm_min_epi32(a, b); }
static inline vint vi_max(vint a, vint b) { return _mm_max_epi32(a, b); }
static inline vmask vi_less(vint a, vint b) { return _mm_castsi128_ps(_mm_cmplt_epi32(a, b)); }
static inline vint v_dot16(vint s, vint a, vint b) { return _mm_add_epi32(s, _mm_madd_epi16(a, b)); }
static inline uint32_t v_bits(vmask m) { return (uint32_t)_mm_movemask_ps(m); }
static inline vec v_load_double(const double *p, const double *offset, double scale)
{
    const __m128d s = _mm_set1_pd(scale);
    const __m128d low = _mm_mul_pd(_mm_sub_pd(_mm_loadu_pd(p), _mm_loadu_pd(offset)), s);
    const __m128d high = _mm_mul_pd(_mm_sub_pd(_mm_loadu_pd(p + 2), _mm_loadu_pd(offset + 2)), s);
    return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}

#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#define LANES 4
#define TILE_CENTERS 12 /* 24 sums + 2 samples + 1 center = 27 of 32 registers */
typedef float32x4_t vec;
typedef int32x4_t vint;
typedef uint32x4_t vmask;
static inline vec v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vec a) { vst1q_f32(p, a); }
static inline vec v_splat(float a) { return vdupq_n_f32(a); }
static inline vec v_add(vec a, vec b) { return vaddq_f32(a, b); }
static inline vec v_sub(vec a, vec b) { return vsubq_f32(a, b); }
static inline vec v_mul(vec a, vec b) { return vmulq_f32(a, b); }
static inline vec v_min(vec a, vec b) { return vminq_f32(a, b); }
static inline vec v_max(vec a, vec b) { return vmaxq_f32(a, b); }
static inline vec v_sqrt(vec a) { return vsqrtq_f32(a); }
static inline vec v_fnmadd(vec s, vec a, vec b) { return vfmsq_f32(s, a, b); }
static inline vmask v_less(vec a, vec b) { return vcltq_f32(a, b); }
static inline vec v_pick(vmask m, vec a, vec b) { return vbslq_f32(m, a, b); }
static inline vint vi_pick(vmask m, vint a, vint b) { return vbslq_s32(m, a, b); }
static inline vint vi_splat(int32_t a) { return vdupq_n_s32(a); }
static inline vint vi_load(const int32_t *p) { return vld1q_s32(p); }
static inline void vi_store(int32_t *p, vint a) { vst1q_s32(p, a); }
static inline vint vi_min(vint a, vint b) { return vminq_s32(a, b); }
static inline vint vi_max(vint a, vint b) { return vmaxq_s32(a, b); }
static inline vmask vi_less(vint a, vint b) { return vcltq_s32(a, b); }
static inline vint v_dot16(vint s, vint a, vint b)
{
    const int16x8_t x = vreinterpretq_s16_s32(a), c = vreinterpretq_s16_s32(b);
    return vaddq_s32(s, vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(c)), vmull_high_s16(x, c)));
}
static inline uint32_t v_bits(vmask m)
{
    static const int32_t place[4] = {0, 1, 2, 3};
    return vaddvq_u32(vshlq_u32(vshrq_n_u32(m, 31), vld1q_s32(place)));
}
#define HAS_HALF 1
static inline vec v_load_half(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
static inline vec v_load_double(const double *p, const double *offset, double scale)
{
    const float64x2_t low = vmulq_n_f64(vsubq_f64(vld1q_f64(p), vld1q_f64(offset)), scale);
    const float64x2_t high = vmulq_n_f64(vsubq_f64(vld1q_f64(p + 2), vld1q_f64(offset + 2)), scale);
    return vcvt_high_f32_f64(vcvt_f32_f64(low), high);
}

#else
#include <math.h>
#define LANES 1
#define TILE_CENTERS 4
typedef float vec;
typedef int32_t vint;
typedef int vmask;
static inline vec v_load(const float *p) { return *p; }
static inline void v_store(float *p, vec a) { *p = a; }
static inline vec v_splat(float a) { return a; }
static inline vec v_add(vec a, vec b) { return a + b; }
static inline vec v_sub(vec a, vec b) { return a - b; }
static inline vec v_mul(vec a, vec b) { return a * b; }
static inline vec v_min(vec a, vec b) { return a < b ? a : b; }
static inline vec v_max(vec a, vec b) { return a > b ? a : b; }
static inline vec v_sqrt(vec a) { return sqrtf(a); }
static inline vec v_fnmadd(vec s, vec a, vec b) { return s - a * b; }
static inline vmask v_less(vec a, vec b) { return a < b; }
static inline vec v_pick(vmask m, vec a, vec b) { return m ? a : b; }
static inline vint vi_pick(vmask m, vint a, vint b) { return m ? a : b; }
static inline vint vi_splat(int32_t a) { return a; }
static inline vint vi_load(const int32_t *p) { return *p; }
static inline void vi_store(int32_t *p, vint a) { *p = a; }
static inline vint vi_min(vint a, vint b) { return a < b ? a : b; }
static inline vint vi_max(vint a, vint b) { return a > b ? a : b; }
static inline vmask vi_less(vint a, vint b) { return a < b; }
static inline vint v_dot16(vint s, vint a, vint b)
{
    return s + (int16_t)a * (int16_t)b + (int16_t)((uint32_t)a >> 16) * (int16_t)((uint32_t)b >> 16);
}
static inline uint32_t v_bits(vmask m) { return m ? 1u : 0u; }
static inline vec v_load_double(const double *p, const double *offset, double scale)
{
    return (float)((*p - *offset) * scale);
}
#endif

#ifndef HAS_HALF
#define HAS_HALF 0
#endif

static inline vec v_load_float(const float *p, const float *offset, float scale)
{
    return v_mul(v_sub(v_load(p), v_load(offset)), v_splat(scale));
}

/* Shuffles. interleave_low(a, b) = a0 b0 a1 b1 ... of the first halves, interleave_high of the second halves;
 * even(a, b) = a0 a2 ... b0 b2 ..., odd(a, b) = a1 a3 ... b1 b3 ... */
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define EVEN_2 0, 2
#define EVEN_4 EVEN_2, 4, 6
#define EVEN_8 EVEN_4, 8, 10, 12, 14
#define EVEN_16 EVEN_8, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_2 1, 3
#define ODD_4 ODD_2, 5, 7
#define ODD_8 ODD_4, 9, 11, 13, 15
#define ODD_16 ODD_8, 17, 19, 21, 23, 25, 27, 29, 31
#if LANES == 16
static inline vec v_interleave_low(vec a, vec b)
{
    return SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
static inline vec v_interleave_high(vec a, vec b)
{
    return SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
static inline vec v_even(vec a, vec b) { return SHUFFLE(a, b, EVEN_16); }
static inline vec v_odd(vec a, vec b) { return SHUFFLE(a, b, ODD_16); }
#elif LANES == 8
static inline vec v_interleave_low(vec a, vec b) { return SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
static inline vec v_interleave_high(vec a, vec b) { return SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
static inline vec v_even(vec a, vec b) { return SHUFFLE(a, b, EVEN_8); }
static inline vec v_odd(vec a, vec b) { return SHUFFLE(a, b, ODD_8); }
#elif LANES == 4
static inline vec v_interleave_low(vec a, vec b) { return SHUFFLE(a, b, 0, 4, 1, 5); }
static inline vec v_interleave_high(vec a, vec b) { return SHUFFLE(a, b, 2, 6, 3, 7); }
static inline vec v_even(vec a, vec b) { return SHUFFLE(a, b, EVEN_4); }
static inline vec v_odd(vec a, vec b) { return SHUFFLE(a, b, ODD_4); }
#else
static inline vec v_interleave_low(vec a, vec b) { return (void)b, a; }
static inline vec v_interleave_high(vec a, vec b) { return (void)a, b; }
static inline vec v_even(vec a, vec b) { return (void)b, a; }
static inline vec v_odd(vec a, vec b) { return (void)a, b; }
#endif

/* Float32 or float64 in a register, as vectors of GCC and clang for + - * and shuffles; a scalar operand is spread. */
#define VECTOR_BYTES (LANES == 1 ? 16 : 4 * LANES)
typedef float lanes_f32 __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double lanes_f64 __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
#if LANES == 16
static inline lanes_f32 even_f32(lanes_f32 a, lanes_f32 b) { return SHUFFLE(a, b, EVEN_16); }
static inline lanes_f32 odd_f32(lanes_f32 a, lanes_f32 b) { return SHUFFLE(a, b, ODD_16); }
static inline lanes_f64 even_f64(lanes_f64 a, lanes_f64 b) { return SHUFFLE(a, b, EVEN_8); }
static inline lanes_f64 odd_f64(lanes_f64 a, lanes_f64 b) { return SHUFFLE(a, b, ODD_8); }
#elif LANES == 8
static inline lanes_f32 even_f32(lanes_f32 a, lanes_f32 b) { return SHUFFLE(a, b, EVEN_8); }
static inline lanes_f32 odd_f32(lanes_f32 a, lanes_f32 b) { return SHUFFLE(a, b, ODD_8); }
static inline lanes_f64 even_f64(lanes_f64 a, lanes_f64 b) { return SHUFFLE(a, b, EVEN_4); }
static inline lanes_f64 odd_f64(lanes_f64 a, lanes_f64 b) { return SHUFFLE(a, b, ODD_4); }
#else
static inline lanes_f32 even_f32(lanes_f32 a, lanes_f32 b) { return SHUFFLE(a, b, EVEN_4); }
static inline lanes_f32 odd_f32(lanes_f32 a, lanes_f32 b) { return SHUFFLE(a, b, ODD_4); }
static inline lanes_f64 even_f64(lanes_f64 a, lanes_f64 b) { return SHUFFLE(a, b, EVEN_2); }
static inline lanes_f64 odd_f64(lanes_f64 a, lanes_f64 b) { return SHUFFLE(a, b, ODD_2); }
#endif

/* WIDE_LANES float64 as a native vector of GCC and clang, for + - * and comparisons; a scalar operand is spread. GCC
 * takes comparisons of longer ones apart element by element. wide_bits(m): lane i of a comparison as bit i. */
#if defined(__AVX512F__)
#define WIDE_LANES 8
#elif defined(__AVX2__) && defined(__FMA__)
#define WIDE_LANES 4
#else
#define WIDE_LANES 2
#endif
typedef double wide __attribute__((vector_size(8 * WIDE_LANES), aligned(8), may_alias));
typedef int64_t wide_mask __attribute__((vector_size(8 * WIDE_LANES)));
static inline uint32_t wide_bits(wide_mask m)
{
#if defined(__AVX512F__)
    return _mm512_movepi64_mask((__m512i)m);
#elif defined(__AVX2__) && defined(__FMA__)
    return (uint32_t)_mm256_movemask_pd((__m256d)m);
#elif defined(__SSE4_1__)
    return (uint32_t)_mm_movemask_pd((__m128d)m);
#else
    return (uint32_t)(m[0] & 1) | (uint32_t)(m[1] & 1) << 1;
#endif
}

/* float64 in native vectors of GCC and clang, for + - * and comparisons; a scalar operand is spread.
 *   vdouble, vd_mask     VD_LANES float64; as many truth values, all ones or zeros, also for int64 labels
 *   vd_fmadd(s, a, b)    s + a * b, fused where the instruction set can
 *   vd_sqrt vd_abs vd_load vd_store vd_load_labels      element by element
 *   vd_pick(m, a, b)     m ? a : b
 *   vd_max(a, b)  vd_min(a, b)     b where one is a NaN
 *   vd_min_above_zero(a, b)        the same, and b where a is not above 0
 *   vd_bits, vd_less(a, b), vd_pick_labels(m, a, b)     a comparison in the form in which picking labels by it is cheap
 *   vd_total(a)          sum of the elements, the first one first
 *   vd_total_of_eight(parts)     sum of eight float64 in 8 / VD_LANES vectors, in one order on all instruction sets
 *   vd_load_f32 vd_load_f64      float32, or float64, as float64
 *   vd_sqrt_by_steps     vd_sqrt within an ulp, without the divider if a seed and two steps are as fast: then half the
 *                        roots by each take half the time */
#define VD_LANES (LANES > 1 ? LANES / 2 : 1)
typedef double vdouble __attribute__((vector_size(8 * VD_LANES), aligned(8), may_alias));
typedef int64_t vd_mask __attribute__((vector_size(8 * VD_LANES), aligned(8), may_alias));
static inline vdouble vd_load(const double *p) { return *(const vdouble *)p; }
static inline vd_mask vd_load_labels(const int64_t *p) { return *(const vd_mask *)p; }
typedef float vd_floats __attribute__((vector_size(4 * VD_LANES), aligned(4), may_alias));
static inline vdouble vd_load_f32(const float *p) { return __builtin_convertvector(*(const vd_floats *)p, vdouble); }
static inline vdouble vd_load_f64(const double *p) { return vd_load(p); }
static inline void vd_store(double *p, vdouble a) { *(vdouble *)p = a; }
static inline double vd_total(vdouble a)
{
    double lane[VD_LANES], total = 0.0;
    vd_store(lane, a);
    for (int l = 0; l < VD_LANES; l++)
        total += lane[l];
    return total;
}

static inline double vd_total_of_eight(const vdouble *parts)
{
    double eight[8], total = 0.0;
    for (int p = 0; p < 8 / VD_LANES; p++)
        vd_store(eight + p * VD_LANES, parts[p]);
    for (int i = 0; i < 8; i++)
        total += eight[i];
    return total;
}
static inline vdouble vd_abs(vdouble a) { return (vdouble)((vd_mask)a & INT64_MAX); }
static inline vdouble vd_pick(vd_mask m, vdouble a, vdouble b)
{
    return (vdouble)(((vd_mask)a & m) | ((vd_mask)b & ~m));
}
#if LANES == 16
static inline vdouble vd_fmadd(vdouble s, vdouble a, vdouble b)
{
    return (vdouble)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)s);
}
static inline vdouble vd_sqrt(vdouble a) { return (vdouble)_mm512_sqrt_pd((__m512d)a); }
/* Goldschmidt: root -> sqrt(a), half -> 1 / (2 sqrt(a)); the seed has 14 bits, the first step 27, and the last one
 * takes its residual from a itself. 0 has the seed 0. */
static inline vdouble vd_sqrt_by_steps(vdouble square)
{
    const __m512d a = (__m512d)square;
    const __m512d seed = _mm512_maskz_rsqrt14_pd(_mm512_cmp_pd_mask(a, _mm512_setzero_pd(), _CMP_GT_OQ), a);
    const __m512d root = _mm512_mul_pd(a, seed), half = _mm512_mul_pd(seed, _mm512_set1_pd(0.5));
    const __m512d error = _mm512_fnmadd_pd(root, half, _mm512_set1_pd(0.5));
    const __m512d better = _mm512_fmadd_pd(root, error, root);
    return (vdouble)_mm512_fmadd_pd(_mm512_fnmadd_pd(better, better, a), _mm512_fmadd_pd(half, error, half), better);
}
#elif LANES == 8
static inline vdouble vd_fmadd(vdouble s, vdouble a, vdouble b)
{
    return (vdouble)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)s);
}
static inline vdouble vd_sqrt(vdouble a) { return (vdouble)_mm256_sqrt_pd((__m256d)a); }
#elif defined(__SSE4_1__)
static inline vdouble vd_fmadd(vdouble s, vdouble a, vdouble b) { return s + a * b; }
static inline vdouble vd_sqrt(vdouble a) { return (vdouble)_mm_sqrt_pd((__m128d)a); }
#elif LANES == 4
static inline vdouble vd_fmadd(vdouble s, vdouble a, vdouble b)
{
    return (vdouble)vfmaq_f64((float64x2_t)s, (float64x2_t)a, (float64x2_t)b);
}
static inline vdouble vd_sqrt(vdouble a) { return (vdouble)vsqrtq_f64((float64x2_t)a); }
#else
static inline vdouble vd_fmadd(vdouble s, vdouble a, vdouble b) { return s + a * b; }
static inline vdouble vd_sqrt(vdouble a) { return (vdouble){sqrt(a[0])}; }
#endif
#if LANES != 16
static inline vdouble vd_sqrt_by_steps(vdouble a) { return vd_sqrt(a); }
#endif
#if LANES == 16
typedef __mmask8 vd_bits;
static inline vd_bits vd_less(vdouble a, vdouble b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ); }
static inline vd_mask vd_pick_labels(vd_bits m, vd_mask a, vd_mask b)
{
    return (vd_mask)_mm512_mask_mov_epi64((__m512i)b, m, (__m512i)a);
}
static inline vdouble vd_max(vdouble a, vdouble b) { return (vdouble)_mm512_max_pd((__m512d)a, (__m512d)b); }
static inline vdouble vd_min(vdouble a, vdouble b) { return (vdouble)_mm512_min_pd((__m512d)a, (__m512d)b); }
static inline vdouble vd_min_above_zero(vdouble a, vdouble b)
{
    const __mmask8 above = _mm512_cmp_pd_mask((__m512d)a, _mm512_setzero_pd(), _CMP_GT_OQ);
    return (vdouble)_mm512_mask_min_pd((__m512d)b, above, (__m512d)a, (__m512d)b);
}
#else
typedef vd_mask vd_bits;
static inline vd_bits vd_less(vdouble a, vdouble b) { return (vd_mask)(a < b); }
static inline vd_mask vd_pick_labels(vd_bits m, vd_mask a, vd_mask b) { return (m & a) | (~m & b); }
#if LANES == 8
static inline vdouble vd_min(vdouble a, vdouble b) { return (vdouble)_mm256_min_pd((__m256d)a, (__m256d)b); }
static inline vdouble vd_max(vdouble a, vdouble b) { return (vdouble)_mm256_max_pd((__m256d)a, (__m256d)b); }
static inline vdouble vd_min_above_zero(vdouble a, vdouble b)
{
    const __m256d above = _mm256_cmp_pd((__m256d)a, _mm256_setzero_pd(), _CMP_GT_OQ);
    return (vdouble)_mm256_min_pd(_mm256_blendv_pd((__m256d)b, (__m256d)a, above), (__m256d)b);
}
#else
static inline vdouble vd_min(vdouble a, vdouble b) { return vd_pick((vd_mask)(a < b), a, b); }
static inline vdouble vd_max(vdouble a, vdouble b) { return vd_pick((vd_mask)(a > b), a, b); }
static inline vdouble vd_min_above_zero(vdouble a, vdouble b)
{
    return vd_pick((vd_mask)(a > 0.0) & (vd_mask)(a < b), a, b);
}
#endif
#endif

/* |x| as whole numbers, which have the order of the sizes: infinity is beyond all numbers, and NaN beyond infinity.
 *   sizes_f32, sizes_f64     LANES of float32, VD_LANES of float64 */
typedef vint sizes_f32;
typedef vd_mask sizes_f64;
static inline sizes_f32 sizes_load_f32(const float *p)
{
    vint bits;
    memcpy(&bits, p, sizeof bits);
    return bits & vi_splat(INT32_MAX);
}
static inline sizes_f64 sizes_load_f64(const double *p) { return vd_load_labels((const int64_t *)p) & INT64_MAX; }
static inline sizes_f32 sizes_max_f32(sizes_f32 a, sizes_f32 b) { return vi_max(a, b); }
#if LANES == 16
static inline sizes_f64 sizes_max_f64(sizes_f64 a, sizes_f64 b)
{
    return (sizes_f64)_mm512_max_epi64((__m512i)a, (__m512i)b);
}
#else
static inline sizes_f64 sizes_max_f64(sizes_f64 a, sizes_f64 b)
{
    const vd_mask is_larger = a > b;
    return (a & is_larger) | (b & ~is_larger);
}
#endif

/* Codes. Instructions that multiply unsigned by signed bytes get samples as value + 128, so the sum starts at -128
 * times the center's values. */
#if defined(__AVX512VNNI__) && LANES == 16
#define CODE_FEATURES 4
#define CODE_BIAS 128 /* what v_dot wants added to a sample's numbers */
#define CODE_LIMIT 127
typedef int32_t code;
typedef vint vcode;
static inline vec v_code(vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vcode vc_pack(const vec *part)
{
    const __m512i byte = _mm512_set1_epi32(255);
    const __m512i low = _mm512_or_si512(_mm512_and_si512(_mm512_cvtps_epi32(part[0]), byte),
                                        _mm512_slli_epi32(_mm512_and_si512(_mm512_cvtps_epi32(part[1]), byte), 8));
    const __m512i high = _mm512_or_si512(_mm512_slli_epi32(_mm512_and_si512(_mm512_cvtps_epi32(part[2]), byte), 16),
                                         _mm512_slli_epi32(_mm512_cvtps_epi32(part[3]), 24));
    return _mm512_xor_si512(_mm512_or_si512(low, high), _mm512_set1_epi32((int32_t)0x80808080u));
}
static inline vcode v_dot(vcode s, vcode sample, vcode center) { return _mm512_dpbusd_epi32(s, sample, center); }
static inline vec v_of_sum(vcode s) { return _mm512_cvtepi32_ps(s); }
static inline code code_of_center(code sample) { return sample ^ (int32_t)0x80808080u; }
static inline code code_start(code sum, code sample)
{
    sum += 4 * 128 * 128;
    for (int e = 0; e < 4; e++)
        sum -= 128 * (int32_t)((uint32_t)sample >> 8 * e & 255);
    return sum;
}
#elif defined(__ARM_FEATURE_DOTPROD) && LANES == 4
#define CODE_FEATURES 4
#define CODE_BIAS 0
#define CODE_LIMIT 127
typedef int32_t code;
typedef vint vcode;
static inline vec v_code(vec a) { return vrndnq_f32(a); }
static inline vcode vc_pack(const vec *part)
{
    const int32x4_t byte = vdupq_n_s32(255);
    const int32x4_t low =
        vorrq_s32(vandq_s32(vcvtq_s32_f32(part[0]), byte), vshlq_n_s32(vandq_s32(vcvtq_s32_f32(part[1]), byte), 8));
    const int32x4_t high =
        vorrq_s32(vshlq_n_s32(vandq_s32(vcvtq_s32_f32(part[2]), byte), 16), vshlq_n_s32(vcvtq_s32_f32(part[3]), 24));
    return vorrq_s32(low, high);
}
static inline vcode v_dot(vcode s, vcode sample, vcode center)
{
    return vdotq_s32(s, vreinterpretq_s8_s32(sample), vreinterpretq_s8_s32(center));
}
static inline vec v_of_sum(vcode s) { return vcvtq_f32_s32(s); }
static inline code code_of_center(code sample) { return sample; }
static inline code code_start(code sum, code sample) { return (void)sample, sum; }
#elif defined(__SSE4_1__)
/* Without dot products of bytes: products of unsigned and signed bytes, added in pairs to 16 bits, and sums that wrap
 * there. A pair does not saturate: 2 * 180 * 90 < 2^15. Wrapping does no harm if the whole sum of a half fits. That sum
 * is at most the product of two lengths, and codes of half a row are no longer than CODE_LENGTH. */
#define CODE_FEATURES 4
#define CODE_BIAS 90
#define CODE_LIMIT 90
#define CODE_LENGTH 181 /* 181 * 181 < 2^15 */
typedef int32_t code;
typedef vint vcode;
#if LANES == 16
static inline vec v_code(vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vcode v_byte(vec a, int place)
{
    return _mm512_sll_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(CODE_BIAS)),
                            _mm_cvtsi32_si128(8 * place));
}
static inline vcode vc_pack(const vec *part)
{
    return _mm512_or_si512(_mm512_or_si512(v_byte(part[0], 0), v_byte(part[1], 1)),
                           _mm512_or_si512(v_byte(part[2], 2), v_byte(part[3], 3)));
}
static inline vcode v_dot(vcode s, vcode sample, vcode center)
{
    return _mm512_add_epi16(s, _mm512_maddubs_epi16(sample, center));
}
static inline vec v_of_sum(vcode s) { return _mm512_cvtepi32_ps(_mm512_madd_epi16(s, _mm512_set1_epi16(1))); }
#elif LANES == 8
static inline vec v_code(vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vcode v_byte(vec a, int place)
{
    return _mm256_sll_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(CODE_BIAS)),
                            _mm_cvtsi32_si128(8 * place));
}
static inline vcode vc_pack(const vec *part)
{
    return _mm256_or_si256(_mm256_or_si256(v_byte(part[0], 0), v_byte(part[1], 1)),
                           _mm256_or_si256(v_byte(part[2], 2), v_byte(part[3], 3)));
}
static inline vcode v_dot(vcode s, vcode sample, vcode center)
{
    return _mm256_add_epi16(s, _mm256_maddubs_epi16(sample, center));
}
static inline vec v_of_sum(vcode s) { return _mm256_cvtepi32_ps(_mm256_madd_epi16(s, _mm256_set1_epi16(1))); }
#else
static inline vec v_code(vec a) { return _mm_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vcode v_byte(vec a, int place)
{
    return _mm_sll_epi32(_mm_add_epi32(_mm_cvtps_epi32(a), _mm_set1_epi32(CODE_BIAS)), _mm_cvtsi32_si128(8 * place));
}
static inline vcode vc_pack(const vec *part)
{
    return _mm_or_si128(_mm_or_si128(v_byte(part[0], 0), v_byte(part[1], 1)),
                        _mm_or_si128(v_byte(part[2], 2), v_byte(part[3], 3)));
}
static inline vcode v_dot(vcode s, vcode sample, vcode center)
{
    return _mm_add_epi16(s, _mm_maddubs_epi16(sample, center));
}
static inline vec v_of_sum(vcode s) { return _mm_cvtepi32_ps(_mm_madd_epi16(s, _mm_set1_epi16(1))); }
#endif
static inline code code_of_center(code sample)
{
    uint32_t center = 0;
    for (int e = 0; e < 4; e++)
        center |= ((((uint32_t)sample >> 8 * e) - CODE_BIAS) & 255) << 8 * e;
    return (code)center;
}
static inline code code_start(code sum, code sample)
{
    uint32_t halves[2];
    for (int h = 0; h < 2; h++) {
        halves[h] = (uint32_t)sum >> 16 * h;
        for (int e = 2 * h; e < 2 * h + 2; e++)
            halves[h] -= CODE_BIAS * (((uint32_t)sample >> 8 * e & 255) - CODE_BIAS);
    }
    return (code)((halves[0] & 65535) | halves[1] << 16);
}
#else
#define CODE_FEATURES 1
#define CODE_LIMIT 0
typedef float code;
typedef vec vcode;
static inline vec v_code(vec a) { return a; }
static inline vcode vc_pack(const vec *part) { return *part; }
static inline vcode vc_load(const code *p) { return v_load(p); }
static inline void vc_store(code *p, vcode a) { v_store(p, a); }
static inline vcode vc_splat(code a) { return v_splat(a); }
static inline vcode v_dot(vcode s, vcode sample, vcode center) { return v_fnmadd(s, sample, center); }
static inline vec v_of_sum(vcode s) { return s; }
static inline code code_of_center(code sample) { return -sample; }
static inline code code_start(code sum, code sample) { return (void)sample, sum; }
#endif
#if CODE_FEATURES > 1
static inline vcode vc_load(const code *p) { return vi_load(p); }
static inline void vc_store(code *p, vcode a) { vi_store(p, a); }
static inline vcode vc_splat(code a) { return vi_splat(a); }
#endif
#ifndef CODE_LENGTH
#define CODE_LENGTH 0
#endif
#if CODE_FEATURES == 4 && CODE_LENGTH == 0
#define HAS_DOT8 1
#define DOT8_BIAS (CODE_BIAS)
static inline vint v_dot8(vint s, vint a, vint b) { return v_dot(s, a, b); }
#else
#define HAS_DOT8 0
#define DOT8_BIAS 0
static inline vint v_dot8(vint s, vint a, vint b) { return v_dot16(s, a, b); }
#endif

/* Bytes. codes_within(c, low, width): bit i of CODE_BYTES tells whether c[i] lies in low[i] .. low[i] + width[i]. */
#if defined(__AVX512BW__) && defined(__AVX512VL__) && LANES == 16
#define CODE_BYTES 32 /* most rows are shorter than 64 bytes, and 32 cross fewer cache lines */
static inline uint64_t codes_within(const uint8_t *c, const uint8_t *low, const uint8_t *width)
{
    const __m256i above =
        _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *)c), _mm256_loadu_si256((const __m256i *)low));
    return _mm256_cmple_epu8_mask(above, _mm256_loadu_si256((const __m256i *)width));
}
#elif defined(__AVX2__) && LANES == 8
#define CODE_BYTES 32
static inline uint64_t codes_within(const uint8_t *c, const uint8_t *low, const uint8_t *width)
{
    const __m256i above =
        _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *)c), _mm256_loadu_si256((const __m256i *)low));
    const __m256i least = _mm256_min_epu8(above, _mm256_loadu_si256((const __m256i *)width));
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(least, above));
}
#elif defined(__SSE4_1__) && LANES == 4
#define CODE_BYTES 16
static inline uint64_t codes_within(const uint8_t *c, const uint8_t *low, const uint8_t *width)
{
    const __m128i above = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)c), _mm_loadu_si128((const __m128i *)low));
    const __m128i least = _mm_min_epu8(above, _mm_loadu_si128((const __m128i *)width));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(least, above));
}
#else
#define CODE_BYTES 16
static inline uint64_t codes_within(const uint8_t *c, const uint8_t *low, const uint8_t *width)
{
    uint64_t bits = 0;
    for (int i = 0; i < CODE_BYTES; i++)
        bits |= (uint64_t)((uint8_t)(c[i] - low[i]) <= width[i]) << i;
    return bits;
}
#endif

#define TILE_VECS 2
#define TILE_SAMPLES (TILE_VECS * LANES)

#endif
