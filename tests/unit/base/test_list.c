#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int n;
    struct list node;
};

/* The numbers in order, as one: 1, 2, 3 is 123. */
static int digits(struct list *l)
{
    int sum = 0;
    list_each(n, tmp, l)
        sum = sum * 10 + list_entry(n, struct item, node)->n;
    return sum;
}

static void fill(struct list *l, struct item *items, int n)
{
    list_init(l);
    for (int i = 0; i < n; i++) {
        items[i].n = i + 1;
        list_push_back(l, &items[i].node);
    }
}

static void test_a_new_list_is_empty(void **state)
{
    (void)state;
    struct list l;
    list_init(&l);
    assert_true(list_empty(&l));
    assert_int_equal(digits(&l), 0);
}

static void test_pushes_go_to_their_ends(void **state)
{
    (void)state;
    struct item items[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
    struct list l;
    list_init(&l);
    list_push_back(&l, &items[0].node);
    list_push_front(&l, &items[1].node);
    list_push_back(&l, &items[2].node);
    assert_int_equal(digits(&l), 213);
    assert_ptr_equal(list_first(&l, struct item, node), &items[1]);
    list_del(&items[0].node);
    list_insert_after(&items[1].node, &items[0].node);
    assert_int_equal(digits(&l), 213);
}

static void test_a_node_can_be_deleted_twice_and_put_back(void **state)
{
    (void)state;
    struct item items[3];
    struct list l;
    fill(&l, items, 3);
    list_del(&items[1].node);
    assert_int_equal(digits(&l), 13);
    assert_true(list_empty(&items[1].node));
    list_del(&items[1].node);
    assert_int_equal(digits(&l), 13);
    list_push_back(&l, &items[1].node);
    assert_int_equal(digits(&l), 132);
}

static void test_the_walk_survives_deleting_where_it_stands(void **state)
{
    (void)state;
    struct item items[5];
    struct list l;
    fill(&l, items, 5);
    list_each(n, tmp, &l)
        if (list_entry(n, struct item, node)->n % 2)
            list_del(n);
    assert_int_equal(digits(&l), 24);
    list_each(n, tmp, &l)
        list_del(n);
    assert_true(list_empty(&l));
}

static void test_splice_moves_all_behind_what_is_there(void **state)
{
    (void)state;
    struct item a[2], b[3];
    struct list to, from;
    fill(&to, a, 2);
    fill(&from, b, 3);
    list_splice_back(&to, &from);
    assert_int_equal(digits(&to), 12123);
    assert_true(list_empty(&from));
    list_splice_back(&to, &from); /* nothing */
    assert_int_equal(digits(&to), 12123);
    list_splice_back(&from, &to); /* into an empty one */
    assert_int_equal(digits(&from), 12123);
    assert_true(list_empty(&to));
    for (int i = 0; i < 3; i++)
        list_del(&b[i].node);
    assert_int_equal(digits(&from), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_list_is_empty),
        cmocka_unit_test(test_pushes_go_to_their_ends),
        cmocka_unit_test(test_a_node_can_be_deleted_twice_and_put_back),
        cmocka_unit_test(test_the_walk_survives_deleting_where_it_stands),
        cmocka_unit_test(test_splice_moves_all_behind_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
