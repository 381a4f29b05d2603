#include "upstream/news.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct loop loop;
    struct registry registry;
    struct news news;
    struct group_news *app, *api;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_int_equal(loop_init(&f->loop, 1u << 20), OK);
    registry_init(&f->registry, 1);
    news_init(&f->news, &f->loop);
    f->app = registry_get_news(&f->registry, SLICE("app"));
    f->api = registry_get_news(&f->registry, SLICE("api"));
}

static void end(struct fixture *f)
{
    registry_release_news(f->app);
    if (f->api)
        registry_release_news(f->api);
    news_fini(&f->news);
    registry_fini(&f->registry);
    loop_fini(&f->loop);
}

static void await_epoch(struct fixture *f, struct group_news *g, uint32_t epoch)
{
    for (int i = 0; i < 2000 && atomic_load(&g->epoch) != epoch; i++) {
        usleep(500);
        loop_turn(&f->loop);
    }
    assert_int_equal(atomic_load(&g->epoch), epoch);
}

static void test_the_first_raise_is_seen_within_the_turn(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    news_raise(&f.news, f.app);
    assert_int_equal(f.app->epoch, 0);
    loop_turn(&f.loop);
    assert_int_equal(f.app->epoch, 1);
    assert_int_equal(f.api->epoch, 0);
    end(&f);
}

static void test_raises_within_the_pause_are_one_epoch_and_none_is_lost(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    news_raise(&f.news, f.app);
    loop_turn(&f.loop);
    uint64_t before_ms = f.loop.clock.now_ms;
    for (int i = 0; i < 5; i++) {
        news_raise(&f.news, f.app);
        news_raise(&f.news, f.api);
        loop_turn(&f.loop);
    }
    await_epoch(&f, f.app, 2);
    assert_int_equal(f.api->epoch, 1);
    assert_true(f.loop.clock.now_ms - before_ms >= NEWS_PAUSE_MS - 1);
    end(&f);
}

static void test_a_group_may_go_while_its_epoch_is_due(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    news_raise(&f.news, f.app);
    news_raise(&f.news, f.api);
    registry_release_news(f.api);
    f.api = NULL;
    loop_turn(&f.loop);
    assert_int_equal(f.app->epoch, 1);
    end(&f);
}

static void test_the_end_may_come_while_epochs_are_due(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    news_raise(&f.news, f.app);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_raise_is_seen_within_the_turn),
        cmocka_unit_test(test_raises_within_the_pause_are_one_epoch_and_none_is_lost),
        cmocka_unit_test(test_a_group_may_go_while_its_epoch_is_due),
        cmocka_unit_test(test_the_end_may_come_while_epochs_are_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
