# tenbin: one Makefile, no recursion.
#
#   make                   release binary: build/release/tenbin
#   make BUILD=asan        the same with ASAN+UBSAN (also: tsan, cover)
#   make test              everything that must pass; installs what it needs
#   make unit BUILD=asan   unit tests only
#   make demo              tenbin in front of three demo instances
#   make bench             side by side with the peers (under 5 minutes)
#   make fuzz T=h1_request libFuzzer on one target (clang)
#   make install PREFIX=/usr/local DESTDIR=
#   make deps              Debian packages, through apt

BUILD  ?= release
PREFIX ?= /usr/local
O      := build/$(BUILD)
CC     := gcc
PYTHON := /usr/bin/python3

LIBS   := -lev -lcares -lhttp_parser -lnghttp2 -lyaml -lssl -lcrypto -lm
WARN   := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla -Werror
CFLAGS := -std=gnu17 -g $(WARN) -Iinclude -pthread -D_GNU_SOURCE
LDFLAGS := -pthread

ifeq ($(BUILD),release)
CFLAGS  += -O2 -flto=auto -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fno-semantic-interposition -fno-plt
LDFLAGS += -O2 -flto=auto -fuse-linker-plugin -pie -Wl,-z,relro,-z,now
else ifeq ($(BUILD),asan)
CFLAGS  += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(BUILD),tsan)
CFLAGS  += -O1 -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS += -fsanitize=thread
else ifeq ($(BUILD),cover)
CFLAGS  += -O0 --coverage
LDFLAGS += --coverage
else ifeq ($(BUILD),fuzz)
CC      := clang
CFLAGS  += -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS += -fsanitize=fuzzer,address,undefined
else
$(error BUILD=$(BUILD): expected release, asan, tsan, cover or fuzz)
endif

SRC   := $(wildcard src/*/*.c)
OBJ   := $(SRC:src/%.c=$(O)/obj/%.o)
# What tests link with: all of it but main().
LIB   := $(filter-out $(O)/obj/cli/main.o,$(OBJ))
UNIT  := $(patsubst tests/unit/%.c,$(O)/unit/%,$(wildcard tests/unit/*/test_*.c))
SIM   := $(patsubst tests/sim/%.c,$(O)/sim/%,$(wildcard tests/sim/sim_*.c))
FUZZ  := $(patsubst tests/fuzz/fuzz_%.c,$(O)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
TOOLS := $(patsubst bench/%.c,$(O)/bench/%,$(wildcard bench/*.c))

COSTS := $(patsubst tests/cost/%.c,$(O)/cost/%,$(wildcard tests/cost/*.c))

.PHONY: all unit sim fuzz replay test demo bench tools install deps clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(O)/tenbin

# What the rest was built with: a change of flags or compiler rebuilds all of it.
FLAGS := $(CC) $(CFLAGS) $(LDFLAGS) $(LIBS)
$(O)/flags: FORCE
	@mkdir -p $(@D); echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@
FORCE:

# V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@)

$(O)/obj/%.o: src/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(O)/tenbin: $(OBJ)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) $(OBJ) $(LIBS) -o $@

# An archive, so that a test pulls in only what it uses.
$(O)/libtenbin.a: $(LIB)
	@rm -f $@
	$(call say,AR)
	$(Q)$(if $(filter release,$(BUILD)),gcc-ar,ar) rcs $@ $(LIB)

SUPPORT := $(wildcard tests/unit/support/*.c)
$(O)/unit/%: tests/unit/%.c $(SUPPORT) $(O)/libtenbin.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -Itests/unit -MMD -MP $< $(SUPPORT) $(O)/libtenbin.a $(LDFLAGS) $(LIBS) -lcmocka -o $@
$(O)/sim/%: tests/sim/%.c $(SUPPORT) $(O)/libtenbin.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -Itests/unit -MMD -MP $< $(SUPPORT) $(O)/libtenbin.a $(LDFLAGS) $(LIBS) -lcmocka -o $@
# Outside BUILD=fuzz a fuzz target is linked with a plain main() that replays files.
REPLAYER := $(if $(filter fuzz,$(BUILD)),,tests/fuzz/replay.c)
$(O)/fuzz/%: tests/fuzz/fuzz_%.c $(REPLAYER) $(O)/libtenbin.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) -MMD -MP $< $(REPLAYER) $(O)/libtenbin.a $(LDFLAGS) $(LIBS) -o $@
# Programs whose cost is counted: the release library with a small main().
$(O)/cost/%: tests/cost/%.c $(O)/libtenbin.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $< $(O)/libtenbin.a $(LDFLAGS) $(LIBS) -o $@
$(O)/bench/%: bench/%.c $(wildcard bench/*.h) $(O)/flags
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $< $(LDFLAGS) -lm -o $@

unit: $(UNIT)
	@$(PYTHON) tests/run.py unit --build $(BUILD)
sim: $(SIM)
	@$(PYTHON) tests/run.py sim --build $(BUILD)
replay: $(FUZZ)
	@$(PYTHON) tests/run.py replay --build $(BUILD)
tools: $(TOOLS) $(COSTS)
all-tests: $(O)/tenbin $(UNIT) $(SIM) $(FUZZ)

fuzz:
	@test -n "$(T)" || { echo "usage: make fuzz T=<target>  (one of: $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))"; exit 2; }
	$(MAKE) BUILD=fuzz build/fuzz/fuzz/$(T)
	build/fuzz/fuzz/$(T) -max_total_time=$(or $(SECONDS),60) tests/fuzz/corpus/$(T)

test: deps-test
	@$(PYTHON) tests/run.py all

demo: deps-run
	@$(MAKE) --no-print-directory
	@$(PYTHON) tests/demo/demo.py

bench: deps-bench
	@$(MAKE) --no-print-directory all tools
	@$(PYTHON) bench/run.py --short

# apt is asked only when something is missing, and says what it installs.
PKG_RUN   := gcc make libev-dev libssl-dev libnghttp2-dev libhttp-parser-dev libyaml-dev libc-ares-dev python3
PKG_TEST  := $(PKG_RUN) libcmocka-dev python3-pytest curl wrk strace valgrind redis-server redis-tools postgresql procps iproute2 openssl nghttp2-client python3-h2 python3-grpcio
PKG_BENCH := $(PKG_RUN) wrk nghttp2-client nginx libnginx-mod-stream haproxy nghttp2-proxy h2o openssl valgrind strace
.PHONY: deps deps-run deps-test deps-bench
deps: deps-test
deps-run:
	@sh tests/deps.sh $(PKG_RUN)
deps-test:
	@sh tests/deps.sh $(PKG_TEST)
deps-bench:
	@sh tests/deps.sh $(PKG_BENCH)

install: $(O)/tenbin
	install -D -m 755 $(O)/tenbin $(DESTDIR)$(PREFIX)/bin/tenbin
	install -D -m 644 conf/minimal.yaml $(DESTDIR)$(PREFIX)/share/tenbin/minimal.yaml
	install -D -m 644 conf/quickstart.yaml $(DESTDIR)$(PREFIX)/share/tenbin/quickstart.yaml
	install -D -m 644 conf/reference.yaml $(DESTDIR)$(PREFIX)/share/tenbin/reference.yaml

clean:
	rm -rf build

-include $(OBJ:.o=.d) $(addsuffix .d,$(UNIT) $(SIM) $(FUZZ))
