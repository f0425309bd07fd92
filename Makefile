# Twinlease: one graph, everything under build/.
# make | test | explore | sim [SEEDS=first-last] | test-bpf | test-netns | test-interop | asan | fuzz | bench | format | install   (V=1 shows commands)
B       ?= build
PREFIX  ?= /usr/local
CC      ?= gcc
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
CFLAGS  ?= -O2 -g
Q       := $(if $(V),,@)
SHELL   := /bin/bash
VERSION := 0.2.0

PKGS := libbpf libelf zlib openssl libevent_core libevent_extra libevent_openssl jansson yaml-0.1
WARN := -std=gnu11 -Wall -Wextra -Wshadow -Wundef -Wvla -Wformat=2 -Wpointer-arith -Wcast-qual \
        -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
CPPFLAGS += -D_GNU_SOURCE -DTWINLEASE_VERSION='"$(VERSION)"' -Iuser -Iinclude -isystem $(B)/bpf \
            $(shell pkg-config --cflags $(PKGS))
LDLIBS   := -Wl,--as-needed $(shell pkg-config --libs $(PKGS)) -llmdb -lcap -lpthread

# --- what there is ------------------------------------------------------------------------------
core_src  := $(wildcard user/core/*.c)
edge_src  := $(filter-out user/main.c,$(wildcard user/*.c)) \
             $(foreach d,store net dp conf ctl sys,$(wildcard user/$(d)/*.c))
ctl_src   := $(wildcard user/twinctl/*.c)
skel      := $(patsubst bpf/%.bpf.c,$(B)/bpf/%.skel.h,$(wildcard bpf/*.bpf.c))
bpf_obj   := $(patsubst bpf/%.bpf.c,$(B)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
tools     := $(patsubst tools/%.c,$(B)/%,$(wildcard tools/*.c))
bench_src := $(wildcard tools/lib/bench_*.c)
core_unit := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/core/test_*.c))
bench_unit := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/bench/test_*.c))
edge_unit := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
bpf_tests := $(patsubst %.c,$(B)/%,$(wildcard tests/bpf/test_*.c))
bpf_bench := $(patsubst %.c,$(B)/%,$(wildcard tests/bpf/bench_*.c))
replays   := $(patsubst tests/fuzz/fuzz_%.c,$(B)/tests/fuzz/replay_%,$(wildcard tests/fuzz/fuzz_*.c))
fuzzers   := $(patsubst tests/fuzz/fuzz_%.c,$(B)/tests/fuzz/fuzz_%,$(wildcard tests/fuzz/fuzz_*.c))
sim_src   := $(wildcard tests/sim/sim_*.c)
helpers   := $(patsubst tests/lib/%.c,$(B)/tests/lib/%.so,$(wildcard tests/lib/preload_*.c)) \
             $(B)/tests/lib/throw $(B)/tests/lib/fill_store $(B)/tests/lib/bad_partner \
             $(B)/tests/lib/dhcp_echo $(B)/tests/lib/sync_time
progs     := $(if $(wildcard user/main.c),$(B)/twinleased) $(if $(ctl_src),$(B)/twinctl) $(tools)

all: $(progs) $(bpf_obj)
.PHONY: all tests test test-pure test-cases sim test-bpf test-netns test-interop asan asan-progs fuzz fuzzers bench format install clean

# Target bpf has no <asm/types.h>: the directory where the same compiler finds it for this machine.
asm_dir = $(patsubst %/asm/types.h,%,$(filter %/asm/types.h,\
          $(shell $(CLANG) -M -x c -include asm/types.h /dev/null)))

# --- rules --------------------------------------------------------------------------------------
$(B)/%.o: %.c Makefile | $(skel)
	$(Q)mkdir -p $(@D) && $(CC) $(WARN) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/%.bpf.o: %.bpf.c Makefile
	$(Q)mkdir -p $(@D) && $(CLANG) -target bpf -O2 -fno-strict-aliasing -g -Wall -Werror -Iinclude -MMD -MP \
	  -idirafter $(asm_dir) -c $< -o $@
$(B)/%.skel.h: $(B)/%.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst .,_,$(*F)) > $@
# The skeleton comes in by -isystem, which -MMD leaves out.
$(B)/user/dp/pins.o $(bpf_tests:%=%.o) $(bpf_bench:%=%.o): $(skel)
$(B)/libcore.a: $(core_src:%.c=$(B)/%.o)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(B)/libedge.a: $(edge_src:%.c=$(B)/%.o)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/twinleased: $(B)/user/main.o $(B)/libedge.a $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(B)/twinctl: $(ctl_src:%.c=$(B)/%.o) $(B)/libedge.a $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
# Knows nothing of the daemon. Its tests play the network and the clocks, which are no part of the library.
bench_edge := $(B)/tools/lib/bench_net.o $(B)/tools/lib/bench_clock.o
$(B)/libbench.a: $(filter-out $(bench_edge),$(bench_src:%.c=$(B)/%.o))
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(B)/twinbench: $(B)/tools/twinbench.o $(bench_edge) $(B)/libbench.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lm -o $@
$(filter-out $(B)/twinbench,$(tools)): $(B)/%: $(B)/tools/%.o $(B)/libedge.a $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -lm -o $@
$(core_unit): $(B)/%: $(B)/%.o $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lcmocka -o $@
$(bench_unit:%=%.o): CPPFLAGS += -I.
$(bench_unit): $(B)/%: $(B)/%.o $(B)/libbench.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lcmocka -lm -o $@
$(edge_unit) $(bpf_tests) $(bpf_bench): $(B)/%: $(B)/%.o $(B)/libedge.a $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@
$(replays): $(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(B)/libedge.a $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(fuzzers): $(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(B)/libedge.a $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer $^ $(LDLIBS) -o $@
$(sim_src:%.c=$(B)/%.o): CPPFLAGS += -Itests/sim
$(B)/sim: $(sim_src:%.c=$(B)/%.o) $(B)/user/outbox.o $(B)/user/sys/clock.o $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--wrap=binding_accept $^ -o $@
$(B)/tests/lib/fill_store: $(B)/tests/lib/fill_store.o $(B)/tools/lib/bench_packet.o $(B)/libedge.a $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(B)/tests/lib/throw $(B)/tests/lib/dhcp_echo $(B)/tests/lib/sync_time: $(B)/%: $(B)/%.o
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -pthread -o $@
$(B)/tests/lib/bad_partner: $(B)/tests/lib/bad_partner.o $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@
$(filter %.so,$(helpers)): $(B)/tests/lib/%.so: tests/lib/%.c Makefile
	$(Q)mkdir -p $(@D) && $(CC) $(WARN) -D_GNU_SOURCE -O2 -g -shared -fPIC $< -o $@ -ldl

# --- tests --------------------------------------------------------------------------------------
tests: $(progs) $(core_unit) $(edge_unit) $(bench_unit) $(replays) $(helpers) $(bpf_tests)
test: all $(core_unit) $(edge_unit) $(bench_unit) $(replays) $(helpers) test-pure test-cases
	$(Q)B=$(B) tests/run unit $(core_unit) $(edge_unit) $(bench_unit) $(replays)
# Every case of acceptance is shown by a test that exists.
test-cases:
	$(Q)tests/check-cases
# The core's only undefined symbols are its own and mem*: no socket, clock, heap, log or database.
test-pure: $(B)/libcore.a
	$(Q)tests/check-pure $(if $(SANITIZED),--sanitized) $<
# Two whole servers under faults, in virtual time; a seed takes a few milliseconds.
SEEDS ?= 1-8000
sim: $(B)/sim
	$(Q)$(B)/sim $(SEEDS) $(SIM_ARGS)
# Can it fail? Broken copies of the source, each of which some seed must find.
sim-mutants: $(B)/sim
	$(Q)B=$(B) CC=$(CC) tests/sim/mutants
test-bpf: all $(bpf_tests)
	$(Q)B=$(B) tests/run bpf $(bpf_tests)
test-netns: all $(helpers)
	$(Q)B=$(B) tests/run netns $(wildcard tests/netns/test_*)
# Beside a stock ISC dhcpd, in both roles: tests/interop/matrix. PLAY=ci is a fixed ten of it.
test-interop: all $(helpers)
	$(Q)B=$(B) tests/interop/run $(PLAY)

.PHONY: explore
# Every order of events for two state machines, and for two servers as far as EXPLORE_SEC allow.
explorers := $(B)/tests/sim/explore_fsm $(B)/tests/sim/explore
explore: $(explorers)
	$(Q)B=$(B) tests/run explore $^
$(explorers): $(B)/%: $(B)/%.o $(B)/libcore.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@

san := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
asan:
	$(Q)$(MAKE) B=build/asan CFLAGS="-O1 -g $(san)" SANITIZED=1 test
asan-progs:
	$(Q)$(MAKE) B=build/asan CFLAGS="-O1 -g $(san)" SANITIZED=1 all
fuzz:
	$(Q)$(MAKE) B=build/fuzz CC=$(CLANG) CFLAGS="-O1 -g $(san) -fsanitize=fuzzer-no-link" fuzzers
	$(Q)B=build/fuzz tests/run fuzz $(patsubst tests/fuzz/%.c,build/fuzz/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
fuzzers: $(fuzzers)
bench: all $(bpf_bench) $(B)/tests/lib/dhcp_echo $(B)/tests/lib/sync_time $(B)/tests/bpf/test_verifier $(B)/tests/lib/fill_store $(B)/tests/lib/preload_slowsync.so
	$(Q)B=$(B) tools/bench $(BENCH_ARGS)

format:
	$(Q)clang-format -i $(shell git ls-files '*.c' '*.h')

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/twinlease
	install -m 755 $(B)/twinleased $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(filter-out $(B)/twinleased,$(progs)) $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(bpf_obj) $(DESTDIR)$(PREFIX)/lib/twinlease/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/doc/twinlease
	for u in tools/systemd/*.service; do \
	  sed 's|@PREFIX@|$(PREFIX)|' $$u > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/}; done
	install -m 644 README.md LICENSE tools/twinlease.yaml.example $(DESTDIR)$(PREFIX)/share/doc/twinlease/
clean:
	rm -rf build

.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
