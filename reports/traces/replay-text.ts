/** A replay as text: what was read, where the slot calls went, what each strategy came to, what differs and why. */
import type { Difference } from '../../scenarios/traces/replay/held-against.ts';
import type {
  BatchReport,
  ReplayReport,
  StrategyReplay,
} from '../../scenarios/traces/replay/replay-report.ts';
import { type Column, textTable, wrap } from '../print/table.ts';

const count = (n: number): string => Math.round(n).toLocaleString('en-US');
/** Places of slot batches that are listed; the others are counted. */
const BATCHES_LISTED = 24;

/** The report, at most `width` columns wide. */
export function replayText(r: ReplayReport, width: number): string {
  const blocks: readonly Block[] = [
    readText(r),
    slotsText(r),
    strategiesText(r, width),
    ...r.strategies.flatMap((s) => (s.death === undefined ? [] : [deathText(s)])),
    costText(r, width),
    churnText(r, width),
    differencesText(r),
    cannotText(r),
  ];
  const text = blocks
    .filter((block) => block.length > 0)
    .map((block) =>
      block.flatMap((part) => (typeof part === 'string' ? sentence(part, width) : part)).join('\n'),
    );
  return `${text.join('\n\n')}\n`;
}

/** What belongs together: sentences, which are wrapped, and tables, which are as they are. */
type Block = readonly (string | readonly string[])[];

const sentence = (text: string, width: number): string[] => wrap(text, width, '    ');

function readText(r: ReplayReport): string[] {
  return r.files.map(({ path, summary: s }) => {
    const lost =
      s.gaps > 0
        ? `; the tracer lost ${count(s.lost)} events in ${count(s.gaps)} places: what happened there is not replayed`
        : '';
    const seconds = (s.lastTime - s.firstTime).toFixed(3);
    return `${path}: ${count(s.lines)} lines, ${seconds} s, ${count(s.malformed)} not understood${lost}.`;
  });
}

function slotsText({ slots }: ReplayReport): Block {
  if (slots.from === 'made up')
    return [
      `Slots: ${count(slots.calls)}, made up from the trace (no --memslots log): a page that was mapped is memory, read-only where a store was refused.`,
      ...(slots.unexplained > 0
        ? [
            `All stage-2 entries went ${count(slots.unexplained)} times, so slots were changed that often; only a log says how.`,
          ]
        : []),
    ];
  const head = `Slots: ${count(slots.calls)} calls, from ${slots.from === 'log' ? 'the log, placed by what the trace shows' : 'the trace itself'}.`;
  if (slots.from === 'trace') return [head];
  const before = slots.batches.filter((b) => b.by === 'before the guest');
  const rest = slots.batches.filter((b) => b.by !== 'before the guest');
  const listed = rest.slice(0, BATCHES_LISTED).map((b) => `  ${placeText(b)}`);
  const first = before.reduce((n, b) => n + b.calls, 0);
  return [
    head,
    [
      ...(first > 0 ? [`  ${count(first)} before the guest ran`] : []),
      ...listed,
      ...(rest.length > BATCHES_LISTED
        ? [`  … and ${count(rest.length - BATCHES_LISTED)} more batches`]
        : []),
    ],
    ...(slots.contradictions > 0
      ? [
          `Of ${count(slots.contradictions)} pages the trace shows memory where no slot of the log is, or a device where one is.`,
        ]
      : []),
    ...(slots.unexplained > 0
      ? [`All entries went ${count(slots.unexplained)} times more than deletions in the log say.`]
      : []),
  ];
}

function placeText(b: BatchReport): string {
  const calls = `${count(b.calls)} call${b.calls === 1 ? '' : 's'}`;
  if (b.after >= Number.MAX_SAFE_INTEGER)
    return `${calls} after the trace, or unseen in it: by the order of the log alone`;
  const why =
    b.by === 'entries that went'
      ? `line ${b.shownAt}: pages that had been mapped fault again`
      : b.by === 'first use'
        ? `line ${b.shownAt}: first use`
        : b.by;
  return `${calls} after line ${b.after} (${why})`;
}

function strategiesText(r: ReplayReport, width: number): Block {
  const rows = r.strategies;
  const cell = (s: StrategyReplay, place: 'rom' | 'ram' | 'device'): string =>
    `${count(s.places[place].same)}/${count(s.places[place].accesses)}`;
  const columns: Column[] = [
    { head: 'strategy', cells: rows.map((s) => s.strategy) },
    { head: 'VM', cells: rows.map((s) => (s.alive ? 'ok' : `dies, line ${s.death?.line}`)) },
    { head: 'ROM', group: 'accesses as recorded', align: 'right', cells: rows.map((s) => cell(s, 'rom')) },
    { head: 'RAM', group: 'accesses as recorded', align: 'right', cells: rows.map((s) => cell(s, 'ram')) },
    {
      head: 'device',
      group: 'accesses as recorded',
      align: 'right',
      cells: rows.map((s) => cell(s, 'device')),
    },
    {
      head: 'slot calls',
      align: 'right',
      cells: rows.map((s) => `${count(s.slotCalls.same)}/${count(s.slotCalls.made)}`),
    },
    { head: 'faults', align: 'right', cells: rows.map((s) => count(s.faults)) },
    { head: 'MMIO exits', align: 'right', cells: rows.map((s) => count(s.mmioExits)) },
  ];
  const stores = Math.max(0, ...rows.map((s) => s.romStores));
  const said =
    stores === 0
      ? 'The recorded guest stored to nothing that a slot shows read-only.'
      : `The recorded guest stored ${count(stores)} times to what a slot shows read-only.`;
  return [textTable(columns, width), said];
}

function deathText({ strategy, death }: StrategyReplay): string[] {
  if (death === undefined) return [];
  const { line, time, kind, gpa, rip, says } = death;
  const act = kind === 'fetch' ? 'fetched code' : kind === 'write' ? 'stored' : 'read';
  return [
    `${strategy}: this guest would have died at line ${line} (${time.toFixed(6)} s), where it ${act} at ${gpa} (rip ${rip}): ${says}.`,
  ];
}

function costText(r: ReplayReport, width: number): Block {
  const rows = r.strategies;
  const cells = (of: (s: StrategyReplay) => number): string[] => rows.map((s) => count(of(s)));
  const group = `predicted ${r.unit} of the kernel`;
  const columns: Column[] = [
    { head: 'strategy', cells: rows.map((s) => s.strategy) },
    { head: 'slot calls', group, align: 'right', cells: cells((s) => s.cost.slots) },
    { head: 'faults after them', group, align: 'right', cells: cells((s) => s.cost.refaults) },
    { head: 'other accesses', group, align: 'right', cells: cells((s) => s.cost.accesses) },
    {
      head: 'together',
      group,
      align: 'right',
      cells: cells((s) => s.cost.slots + s.cost.refaults + s.cost.accesses),
    },
  ];
  const unpriced = [...new Set(rows.flatMap((s) => Object.keys(s.unpriced)))];
  const without = unpriced.length > 0 ? `, without ${unpriced.join(' and ')}, for which it has no price` : '';
  const dead = rows.some((s) => !s.alive) ? ' Of a VM that died, up to there.' : '';
  return [
    textTable(columns, width),
    `Profile ${r.profile}${without}. The replay's own work is left out.${dead}`,
  ];
}

/** What deleting slots cost the guest, and what a change of the host's mapping alone would have spared it. */
function churnText({ slots, churn, unit }: ReplayReport, width: number): Block {
  const batches = slots.batches.filter((b) => b.by === 'entries that went');
  if (batches.length === 0) return [];
  const total = batches.reduce(
    (sum, b) => ({ refaults: sum.refaults + b.refaults, inside: sum.inside + b.refaultsInside }),
    { refaults: 0, inside: 0 },
  );
  const columns: Column[] = [
    { head: 'change of slots', cells: batches.map((b) => `line ${b.after}`) },
    { head: 'calls', align: 'right', cells: batches.map((b) => count(b.calls)) },
    { head: 'deletions', align: 'right', cells: batches.map((b) => count(b.deletions)) },
    { head: 'pages that faulted again', align: 'right', cells: batches.map((b) => count(b.refaults)) },
    { head: 'of them changed', align: 'right', cells: batches.map((b) => count(b.refaultsInside)) },
  ];
  if (churn !== undefined) {
    const group = `predicted ${unit}`;
    const { callPrice, refaultPrice } = churn;
    const recorded = batches.map((b) => count(b.calls * callPrice + b.refaults * refaultPrice));
    const mapped = batches.map((b) => count(b.refaultsInside * refaultPrice));
    columns.push({ head: 'as recorded', group, align: 'right', cells: recorded });
    columns.push({ head: 'by the mapping', group, align: 'right', cells: mapped });
  }
  return [
    textTable(columns, width),
    `Deleting a slot takes all stage-2 entries, not only its own: ${count(total.refaults)} pages faulted again, of which ${count(total.inside)} had other memory or other rights than before. A change of the host's mapping (mprotect(), mmap() over it) takes the entries of that range alone and would have spared the other ${count(total.refaults - total.inside)}; the price of the call itself is not in the profile.`,
  ];
}

function differencesText(r: ReplayReport): string[] {
  const text = r.strategies.flatMap((s) => s.differences.map((d) => `${s.strategy}: ${differenceText(d)}`));
  const bits = r.strategies.map((s) => s.presentBit).find((n) => n > 0);
  const bit = `In ${count(bits ?? 0)} faults on entries for MMIO the recorded processor leaves the present bit of the error code clear, and the core sets it: processors differ there, and KVM does not look.`;
  if (text.length === 0 && bits === undefined)
    return ['Nothing differs from the recording in what was replayed.'];
  return [
    text.length > 0
      ? 'What differs from the recording:'
      : 'Nothing else differs from the recording in what was replayed:',
    ...text,
    ...(bits === undefined ? [] : [bit]),
  ];
}

function differenceText({ reason, count: times, firstLines }: Difference): string {
  const lines =
    firstLines.length > 0
      ? ` (line${firstLines.length > 1 ? 's' : ''} ${firstLines.join(', ')}${times > firstLines.length ? ', …' : ''})`
      : '';
  return `${count(times)} × ${reason}${lines}.`;
}

function cannotText(r: ReplayReport): string[] {
  const said = [
    'A trace has the faults and not the accesses between them: what the guest did to pages that were mapped, in what order and how often, is not replayed.',
    ...(r.notReplayed['no memory access'] > 0
      ? [
          `${count(r.notReplayed['no memory access'])} exits have no access to memory in them (ports, CPUID, interrupts …).`,
        ]
      : []),
    ...(r.notReplayed['above 4 GiB'] > 0
      ? [
          `${count(r.notReplayed['above 4 GiB'])} accesses are above 4 GiB, where the replaying guest cannot reach.`,
        ]
      : []),
    ...(r.notReplayed['shadow paging'] > 0
      ? [`${count(r.notReplayed['shadow paging'])} faults name the guest's own addresses (shadow paging).`]
      : []),
    ...(r.inKernel > 0
      ? [
          `${count(r.inKernel)} MMIO accesses were answered inside the recorded kernel (a device of its own, coalesced MMIO); here each leaves to userspace.`,
        ]
      : []),
    ...(r.morePieces > 0
      ? [
          `${count(r.morePieces)} further pieces of string instructions were done by the recorded emulator in the same exit; here the first piece of each is.`,
        ]
      : []),
    ...(r.vcpus > 1
      ? [
          `${r.vcpus} vCPUs were recorded; here one makes all accesses in the order of the trace, and nothing runs at the same time.`,
        ]
      : []),
    ...leftOutText(r),
  ];
  return ['What a replay cannot reproduce:', ...said];
}

function leftOutText(r: ReplayReport): string[] {
  const [first] = r.strategies.filter((s) => s.alive);
  return (first?.leftOut ?? []).map((d) => `${differenceText(d)} Not replayed.`);
}
