/* A pattern is pieces between stars. The first piece is bound to the beginning of the text and the
 * last one to its end; each piece between them takes the first place where it fits, which leaves
 * the most for the others, so nothing is ever tried twice. */
#include "proxy/pattern.h"

static bool is_wildcard(char c)
{
    return c == '*' || c == '?';
}

struct slice pattern_head(struct slice pattern)
{
    size_t n = 0;
    while (n < pattern.n && !is_wildcard(pattern.p[n]))
        n++;
    return slice_upto(pattern, n);
}

struct slice pattern_tail(struct slice pattern)
{
    size_t off = pattern.n;
    while (off && !is_wildcard(pattern.p[off - 1]))
        off--;
    return slice_from(pattern, off);
}

/* The piece at the beginning of text, which is long enough. */
static bool piece_at(struct slice piece, const char *text)
{
    for (size_t i = 0; i < piece.n; i++)
        if (piece.p[i] != text[i] && piece.p[i] != '?')
            return false;
    return true;
}

/* Behind the first place where the piece fits; false when there is none. */
static bool skip_piece(struct slice piece, struct slice *text)
{
    if (piece.n == 0)
        return true;
    if (pattern_is_literal(piece)) {
        const char *hit = memmem(text->p, text->n, piece.p, piece.n);
        if (hit)
            *text = slice_from(*text, (size_t)(hit - text->p) + piece.n);
        return hit;
    }
    for (; text->n >= piece.n; *text = slice_from(*text, 1))
        if (piece_at(piece, text->p)) {
            *text = slice_from(*text, piece.n);
            return true;
        }
    return false;
}

bool pattern_match(struct slice pattern, struct slice text)
{
    size_t star = slice_find(pattern, '*', 0);
    if (star == pattern.n)
        return text.n == pattern.n && piece_at(pattern, text.p);
    if (text.n < star || !piece_at(slice_upto(pattern, star), text.p))
        return false;
    text = slice_from(text, star);
    pattern = slice_from(pattern, star + 1);
    while ((star = slice_find(pattern, '*', 0)) < pattern.n) {
        if (!skip_piece(slice_upto(pattern, star), &text))
            return false;
        pattern = slice_from(pattern, star + 1);
    }
    return text.n >= pattern.n && piece_at(pattern, text.p + (text.n - pattern.n));
}

/* Of a wildcard name: whatever of the pattern stands before its first dot matches some label, so it
 * is enough that what is behind some place in there matches the rest. A star at that place may
 * stand for more of the text, so it stays. */
bool pattern_meets_name(struct slice pattern, struct slice name)
{
    if (!slice_starts(name, SLICE("*.")))
        return pattern_match(pattern, name);
    struct slice rest = slice_from(name, 1);
    for (size_t i = 0; i < pattern.n && pattern.p[i] != '.'; i++)
        if (pattern_match(slice_from(pattern, pattern.p[i] == '*' ? i : i + 1), rest))
            return true;
    return false;
}
