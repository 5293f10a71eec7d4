/* Sums that do not depend on the order of their terms.
 *
 * A term is split at fixed places of the number line, multiples of 2^TOTAL_BITS, into digits of TOTAL_BITS bits each.
 * Digits of the same place are integers in units of that place. float64 adds fewer than 2^(53 - TOTAL_BITS) of them
 * without rounding. A total keeps the TOTAL_PLACES highest places that its largest term has; lower digits are dropped.
 * Which places these are depends on the largest term alone. A term without a digit in a higher place has the same
 * digits whether the total has that place or not. So the places hold the same numbers for any order of the terms, and
 * for any division of them into parts. After J. Demmel and H. D. Nguyen, "Parallel Reproducible Summation", IEEE
 * Transactions on Computers 64(7), 2015.
 */
#ifndef FASTKMEANS_TOTALS_H
#define FASTKMEANS_TOTALS_H
#include <math.h>
#include <stddef.h>

enum {
    TOTAL_BITS = 30,   /* 2^23 terms */
    TOTAL_PLACES = 4,  /* at least 90 bits below the largest term */
    PLAIN_PLACE = 30,  /* above it terms are divided by 2^128 first, so that the number that rounds is finite */
    LOWEST_PLACE = -36 /* below every number */
};

typedef struct {
    double digits[TOTAL_PLACES]; /* highest place first */
    double scale;                /* of the terms while digits are found: 1, or 2^-128 */
    double rounds;               /* added and subtracted, it leaves the digit of the highest place */
    double limit;                /* terms below it have no higher digit */
    double place;                /* the highest, a whole number */
    double spoiled;              /* sum of the terms that are infinite or NaN */
} total;

static inline void set_place(total *t, double place)
{
    const int scaled_by = place > PLAIN_PLACE ? -128 : 0;
    t->place = place;
    t->scale = ldexp(1.0, scaled_by);
    t->rounds = ldexp(1.5, 52 + TOTAL_BITS * (int)place + scaled_by);
    t->limit = ldexp(1.0, TOTAL_BITS * ((int)place + 1) - 1);
}

static inline void begin_total(total *t)
{
    for (int p = 0; p < TOTAL_PLACES; p++)
        t->digits[p] = 0.0;
    t->spoiled = 0.0;
    set_place(t, LOWEST_PLACE);
}

static inline void raise_place(total *t, double place)
{
    const int by = place - t->place < TOTAL_PLACES ? (int)(place - t->place) : TOTAL_PLACES;
    for (int p = TOTAL_PLACES - 1; p >= 0; p--)
        t->digits[p] = p >= by ? t->digits[p - by] : 0.0;
    set_place(t, place);
}

static inline void add_term(total *t, double term)
{
    if (!(fabs(term) < t->limit)) {
        int exponent;
        if (!isfinite(term)) {
            t->spoiled += term;
            return;
        }
        frexp(term, &exponent); /* |term| < 2^exponent <= 2^(TOTAL_BITS * (place + 1) - 1) */
        raise_place(t, ceil((exponent + 1) / (double)TOTAL_BITS) - 1);
    }
    double rounds = t->rounds, rest = term * t->scale;
    for (int p = 0; p < TOTAL_PLACES && rest != 0.0; p++) {
        const double digit = (rest + rounds) - rounds;
        t->digits[p] += digit / t->scale;
        rest -= digit;
        rounds *= 0x1p-30;
    }
}

static inline void add_total(total *t, const total *other)
{
    total aligned = *other;
    if (aligned.place > t->place)
        raise_place(t, aligned.place);
    else if (aligned.place < t->place)
        raise_place(&aligned, t->place);
    for (int p = 0; p < TOTAL_PLACES; p++)
        t->digits[p] += aligned.digits[p];
    t->spoiled += aligned.spoiled;
}

/* The total as a sum of two float64, the larger first. */
static inline void read_total(const total *t, double *high, double *low)
{
    *high = *low = 0.0;
    for (int p = 0; p < TOTAL_PLACES; p++) {
        const double sum = *high + t->digits[p], part = sum - *high;
        *low += (*high - (sum - part)) + (t->digits[p] - part);
        *high = sum;
    }
    const double sum = *high + *low;
    *low -= sum - *high;
    *high = sum;
    if (t->spoiled != 0.0 || t->spoiled != t->spoiled) {
        *high = t->spoiled;
        *low = 0.0;
    }
}
#endif
