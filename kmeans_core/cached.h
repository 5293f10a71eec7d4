/* Reading what the system has in memory, without waiting for a device. */

#ifndef FASTKMEANS_CACHED_H
#define FASTKMEANS_CACHED_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#if defined(__linux__)
#include <sys/uio.h>
#endif

/* Whether all bytes were read. It is false, too, where the system cannot say what it has in memory. */
static inline bool read_if_cached(int file, char *out, size_t n_bytes, int64_t at)
{
#if defined(__linux__) && defined(RWF_NOWAIT)
    while (n_bytes) {
        struct iovec left = {out, n_bytes};
        const ssize_t got = preadv2(file, &left, 1, at, RWF_NOWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        out += got;
        at += got;
        n_bytes -= (size_t)got;
    }
    return true;
#else
    (void)file, (void)out, (void)at;
    return n_bytes == 0;
#endif
}

/* Rows that lie in files one after the other.   files, offsets   [n_files], the place of each file's first row
 *   firsts   [n_files + 1], the number of each file's first row, ascending; the last is the number of all rows */
typedef struct {
    const int *files;
    const int64_t *offsets, *firsts;
    size_t n_files, row_bytes;
} rows_in_files;

/* The same for `count` rows, from the row with the number `first` on. */
static inline bool read_rows_if_cached(const rows_in_files *rows, int64_t first, size_t count, char *out)
{
    size_t file = 0;
    const int64_t end = first + (int64_t)count;
    while (first < end) {
        while (first >= rows->firsts[file + 1])
            file++;
        const int64_t behind = rows->firsts[file + 1] < end ? rows->firsts[file + 1] : end;
        const size_t n_bytes = (size_t)(behind - first) * rows->row_bytes;
        const int64_t at = rows->offsets[file] + (first - rows->firsts[file]) * (int64_t)rows->row_bytes;
        if (!read_if_cached(rows->files[file], out, n_bytes, at))
            return false;
        out += n_bytes;
        first = behind;
    }
    return true;
}

#endif
