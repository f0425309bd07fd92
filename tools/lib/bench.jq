# What tools/bench says of its figures: medians of runs, lines of its table, ratios, and what they are
# held against. Functions of one JSON document, or of a row of it.

# --- numbers --------------------------------------------------------------------------------------

def middle: sort | length as $n |
	if $n == 0 then null elif $n % 2 == 1 then .[($n - 1) / 2] else (.[$n / 2 - 1] + .[$n / 2]) / 2 end;
# Of many objects of one shape: one with the median of each number.
def medians: . as $runs | .[0] | reduce paths(numbers) as $p (.; setpath($p; [$runs[] | getpath($p) | numbers] | middle));
def over($a; $b): if ($a // 0) > 0 and ($b // 0) > 0 then $a / $b else null end;
def digits($n): if . == null then "-" else pow(10; $n) as $p | . * $p | round / $p | tostring |
	if $n == 0 then . else split(".") | "\(.[0]).\((.[1] // "") + "0" * ($n - ((.[1] // "") | length)))" end end;
def wide($n): tostring | if length < $n then " " * ($n - length) + . else . end;
def left($n): tostring | if length < $n then . + " " * ($n - length) else . end;

# --- the table ------------------------------------------------------------------------------------

def columns: ["pool", "sustained", "CPU", "of one", "p99 of", "p99 of", "closed", "CPU at", "RSS", "synced", "syncs per"];
def units($load): ["", "DORA/s", "us", "us", "OFFER", "ACK, ms", "DORA/s", "\($load.equal_rate)/s", "MB", "before ACK", "DORA"];
def widths: [8, 10, 7, 7, 8, 8, 8, 8, 7, 11, 13];
def cells: .median as $m | [.pool, ($m.sustained.rate | digits(0)), ($m.sustained.cpu | digits(1)),
	(if .pair then [$m.sustained.cpu_of[]? | numbers] | max | digits(1) else "" end),
	($m.half.offer_p99 | digits(2)), ($m.half.ack_p99 | digits(2)), ($m.closed.rate | digits(0)), ($m.equal.cpu | digits(0)),
	($m.rss_kb / 1024 | digits(0)),
	.synced_before_ack, "\(.syncs_one // "-") / \(.syncs_many // "-")"];
def floor_row: .key | startswith("echo");
def line($name; $cells): ($name | left(28)) + ([$cells, widths] | transpose | map(. as [$c, $w] | $c | wide($w)) | add);
def head($load): line(""; columns), line(""; units($load));
# 20 %: where two runs of the same began to differ by more than a tenth.
def remarks: .median as $m |
	(select($m.others_percent >= 20) | "    (others used \($m.others_percent) % of the machine: not to be compared)"),
	(select($m.closed.resent > 0) | "    (closed: \($m.closed.resent) messages were lost, a second's wait for each)"),
	(select(floor_row) | "    (p99 at \($m.half.rate | digits(0)) DORA/s)"),
	(select(.key == "twinlease-pair" and .filter == "off") | "    (the filter is off: it could not be attached here)");
def row_line: line(.name; cells), remarks;

# --- ratios ---------------------------------------------------------------------------------------

def ours: .key | startswith("twinlease");
# Ours against every peer of the same kind and pool.
def ratios: .servers as $all | [$all[] | select(ours) | . as $us | $all[] | select((ours or floor_row | not) and .pair == $us.pair and .pool == $us.pool) |
	. as $peer | def ratio(f): over($us.median | f; $peer.median | f);
	{of: $us.name, to: .name, pool, synced: [$us.synced_before_ack, .synced_before_ack], closed: ratio(.closed.rate),
	 cpu: ratio(.sustained.cpu), sustained: ratio(.sustained.rate), equal_rate_cpu: ratio(.equal.cpu)}];
def ratio_line: "\(.of | left(29))\(.to | left(24))\(.pool | wide(8))" +
	([.sustained, .cpu, .closed, .equal_rate_cpu] | map(digits(2) | wide(13)) | add);
def ratio_head: "\("" | left(29))\("" | left(24))\("pool" | wide(8))" +
	(["sustained", "CPU", "closed", "CPU at rate"] | map(wide(13)) | add);
def ratio_text: select(.ratios | length > 0) | "", "as a multiple of (rates: more is better; CPU: less is better):", ratio_head, (.ratios[] | ratio_line);

# --- what we hold ourselves to --------------------------------------------------------------------

def new_clients($key): [.servers[] | select(.key == $key and .clients == "new")][0].median;
def best($key): [.servers[] | select(.key == $key).median] | max_by(.sustained.rate);
def of_one: [.sustained.cpu_of[]? | numbers] | max;
def above($packet): [.kernel.packets[] | select(.packet == $packet).above][0];
def started($leases): [.start[]? | select(.part == "start" and .leases == $leases)][0];
def ten_times($servers): [.overload[$servers].steps[]? | select(.times == "10").of_maximum * 100][0];
def cost($clients): [.start[]? | select(.part == "cost" and .clients == $clients)][0].ratio;

# Processor time is another on each machine: that of the echo tells by how much. 7.0 us: two messages
# and their answers where the limits were set (raw UDP echo over veth, 3.5 us each).
def slower: over(.machine.echo_us; 7.0);
def scaled($times): if .unit == "us" and .value and $times then .scaled = .value / $times else . end;
# A latency has the disk in it, and moments in which the host has the processor: beside it that of the
# durable echo, at the same rate.
def p99($what; $row; $limit): {$what, value: $row.half.ack_p99, $limit, unit: "ms",
	kind: (if $limit then "at most" else "printed" end),
	holds: (if $limit and $row.half.ack_p99 then $row.half.ack_p99 <= $limit else null end),
	durable_echo: $row.floor.ack_p99};
def least($what; $value; $limit; $unit): {$what, $value, $limit, $unit, kind: "at least", holds: (if $value == null then null else $value >= $limit end)};
def most($what; $value; $limit; $unit): {$what, $value, $limit, $unit, kind: "at most", holds: (if $value == null then null else $value <= $limit end)};

def single_targets: new_clients("twinlease-single") as $us | new_clients("twinlease-slow") as $slow |
	least("one server, new clients, rate beside Kea's, which does not sync"; over($us.sustained.rate; new_clients("kea-single").sustained.rate); 2; "times"),
	least("one server, new clients, rate beside ISC dhcpd's at its best pool"; over($us.sustained.rate; best("isc-single").sustained.rate); 10; "times"),
	most("one server, CPU per DORA"; $us.sustained.cpu; 18; "us"),
	p99("one server, p99 of ACK at half the rate"; $us; 3),
	least("one server, a sync takes 5 ms more: rate, of that without"; over($slow.sustained.rate; $us.sustained.rate) | if . then . * 100 else null end; 70; "%"),
	p99("one server, a sync takes 5 ms more: p99 of ACK at half the rate"; $slow; null),
	least("one server, offered ten times the largest rate: what is served of that"; ten_times("single"); 90; "%");
def pair_targets: new_clients("twinlease-pair") as $us | new_clients("twinlease-pair-one") as $one |
	most("pair, one answers all: CPU per DORA of that one"; $one | of_one; 22; "us"),
	most("pair, one answers all: CPU per DORA of both"; $one.sustained.cpu; 35; "us"),
	most("pair, each answers half: CPU per DORA of both"; $us.sustained.cpu; 35; "us"),
	least("pair, rate beside the Kea HA pair's, which does not sync"; over($us.sustained.rate; new_clients("kea-pair").sustained.rate); 10; "times"),
	least("pair, rate beside the ISC pair's at its best pool"; over($us.sustained.rate; best("isc-pair").sustained.rate); 15; "times"),
	p99("pair, p99 of ACK at half the rate"; $us; 3),
	least("pair, offered ten times the largest rate: what is served of that"; ten_times("pair"); 90; "%");
def scale_targets: started(1000000) as $m |
	most("first OFFER after a start with 1,000,000 leases"; $m.first_offer_ms; 1000; "ms"),
	most("the same, nothing of the store in the page cache"; $m.first_offer_cold_ms; 1000; "ms"),
	most("memory of its own for a lease"; $m.memory_per_lease; 160; "octets"),
	most("CPU per DORA of new clients with 1,000,000 leases, of that with 10,000"; cost("new"); 1.5; "times"),
	most("resynchronisation of 1,000,000 leases beside 5,000 DORA/s"; (if .resync.leases == 1000000 then .resync.median.seconds else null end); 10; "s"),
	least("DORA/s served meanwhile, of 5,000 offered"; (if .resync.leases == 1000000 then .resync.median.served else null end); 4950; "");
def kernel_targets:
	most("kernel: DISCOVER by MAC hash dropped, above the empty program"; above("DISCOVER, MAC hash, drop"); 150; "ns"),
	most("kernel: not DHCP, above the empty program"; above("UDP/53, pass"); 5; "ns"),
	most("kernel: instructions that the verifier processes"; .kernel.verifier_instructions; 59999; "");
def targets: slower as $times | [single_targets, pair_targets, scale_targets, kernel_targets | scaled($times)];

def round_for($unit): if . == null then null elif $unit == "us" or $unit == "times" or $unit == "ms" or $unit == "s" then digits(if . < 1000 then 2 else 0 end) else digits(0) end;
def limit_text: if .limit == null then "" else "\(.kind) \(.limit) \(.unit)" end;
def beside_text: if .scaled then " (\(.scaled | digits(1)) by the echo)"
	elif .durable_echo then " (durable echo: \(.durable_echo | digits(2)) ms)" else "" end;
def verdict: if .holds == null then (if .value == null then "not measured" else "" end) elif .holds then "holds" else "does not hold" end;
def value_text: if .value == null then "-" else "\(.unit as $u | .value | round_for($u)) \(.unit)" end;
def target_line: "\(.what | left(72))\(value_text | wide(13))  \(limit_text | left(18)) \(verdict)\(beside_text)";
def echo_text: if .machine.echo_us then "an echo of the same messages takes \(.machine.echo_us | digits(1)) us a DORA here; 7.0 where the limits were set" else empty end;
def sync_text: if .machine.sync_ms then "a sync of 4 KiB every 1.5 ms takes \(.machine.sync_ms.p50 | digits(2)) ms here, p99 \(.machine.sync_ms.p99 | digits(2)) ms; 0.13 and 0.19 where the limits were set (256 octets, without a pause)" else empty end;
def floor_text: if any(.against[]; .durable_echo) then "durable echo: the least that any server takes here at that rate if it syncs before its ACK" else empty end;
def target_text: "", "Against what we hold ourselves to:", echo_text, sync_text, floor_text, (.against[] | target_line);

# --- the page of the README -----------------------------------------------------------------------

def table_row: "| " + (map(tostring) | join(" | ")) + " |";
def thousands: if . == null then "-" else round | tostring | [while(length > 0; .[:-3]) | .[-3:]] | reverse | join(",") end;
def machine_text: "\(.machine.cores) x \(.machine.cpu), Linux \(.machine.kernel), \(.machine.filesystem) with \(.machine.syncs_per_second | thousands) small syncs a second (one of 4 KiB every 1.5 ms: p50 \(.machine.sync_ms.p50 | digits(2)) ms, p99 \(.machine.sync_ms.p99 | digits(2)) ms), \(.machine.echo_us | digits(1)) us for an echo of the messages of a DORA; commit \(.commit), \(.date[:10]); median of \(.load.runs)";
def markdown_servers: "| | pool, clients | DORA/s | CPU us | p99 of OFFER, ACK, ms | RSS, MB | synced before ACK | syncs per DORA |",
	"|---|---|---|---|---|---|---|---|",
	(.servers[] | .median as $m | [.name, "\(.pool | thousands), \(.clients)", ($m.sustained.rate | thousands),
		(if .pair and ([$m.sustained.cpu_of[]? | numbers] | length) == 1 then "\($m.sustained.cpu | digits(1)), of one \($m | of_one | digits(1))" else $m.sustained.cpu | digits(1) end),
		"\($m.half.offer_p99 | digits(2)), \($m.half.ack_p99 | digits(2))", ($m.rss_kb / 1024 | digits(0)),
		.synced_before_ack, .syncs_many // "-"] | table_row);
def markdown_start: "| leases | first OFFER, ms | not in the page cache, ms | own memory per lease | disk per lease |", "|---|---|---|---|---|",
	(.start[]? | select(.part == "start" and .leases > 0) | [(.leases | thousands), (.first_offer_ms | digits(0)), (.first_offer_cold_ms | digits(0)), .memory_per_lease, .disk_per_lease] | table_row);
def markdown_kernel: "| packet | empty program, ns | filter above it, ns |", "|---|---|---|",
	(.kernel.packets[] | [.packet, .empty, .above] | table_row);
def markdown_against: "| what we hold ourselves to | | measured | |", "|---|---|---|---|",
	(.against[] | [.what, limit_text, value_text + beside_text, verdict] | table_row);
def markdown_words: "Servers, partner and load generator share the cores, so it is the ratios that count. \"New\" clients were",
	"never seen before; in the small pool, which ISC dhcpd needs, the same ones return. DORA/s is the largest",
	"rate by the clock at which fewer than 1 % go without an answer and 99 % of the answers come within 0.2 s;",
	"CPU is what the servers take for a DORA there, user and system; p99 is taken at half of it, the median of",
	"\(.load.periods // 1) periods in each run. Pairs are in NORMAL; \"one answers\": the primary has all buckets. \"Slow disk\":",
	"each sync takes 5 ms more. The floor of the machine: \"echo\" answers the same messages and remembers",
	"nothing; it cost 7.0 us where the limits were set, and \"by the echo\" is what a figure would be there.",
	"\"Durable echo\" writes 100 octets for each ACK and syncs them before the ACK leaves, all that came",
	"meanwhile by one sync: the least that any server takes which syncs before its ACK. The p99 of both is taken",
	"at the rate at which that of \"twinlease\" was; beside a limit, at the rate of that line. A sync of 256",
	"octets without a pause took 0.13 ms, p99 0.19 ms, where the limits were set.";
def markdown_again: "There is no limit for what a server takes for each DORA of its own where each of a pair answers half: with",
	"its part in the partner's that is by definition the figure of both. One server alone is measured where one",
	"answers all.", "",
	"```", "sudo make bench BENCH_ARGS=--install-peers   # 35 minutes; --quick: six; --only ROWS; tools/bench --help",
	"tools/bench --markdown build/bench.json      # this section", "```";
def markdown: "## How fast", "", machine_text + ".", markdown_words, "", markdown_servers, "", markdown_start, "", markdown_kernel, "", markdown_against, "", markdown_again;
