/**
 * A Comparison made up for tests and for looking at reports: every fate, costs, timings, lives, and on request
 * hostile words wherever a user or a guest could put them. It is shaped like the real thing, not measured.
 */
import { noExits } from '../engine/exits.ts';
import type { Life, LifeStep } from '../engine/observation.ts';
import { type Decision, noDecisions } from '../engine/policy.ts';
import {
  COMPARISON_SCHEMA,
  type Comparison,
  type Fate,
  type PatchInfo,
  type Run,
  type ScenarioInfo,
  type StrategyInfo,
} from '../scenarios/run/comparison.ts';

/** Text that acts on every medium it could be printed in, if it is let. */
export const HOSTILE =
  '=HYPERLINK("x")</script><img src=x onerror=alert(1)>"\'`|*_\u001b[31m\u202e]]>&amp;--><svg onload=alert(2)>' +
  ' https://x.example/ www.x.example @someone ::error file=a,line=1::b \n::stop-commands::c ##[error]d ##vso[task]\u0000';

/** What the sample should hold. */
export interface SampleOptions {
  readonly scenarios?: readonly string[];
  readonly strategies?: readonly string[];
  readonly cost?: boolean;
  readonly timing?: boolean;
  /** Hostile words in names, sentences and guest data. */
  readonly hostile?: boolean;
  /** One claim is broken. */
  readonly broken?: boolean;
}

/** The scenarios and strategies of the project, by name. */
export const SAMPLE_SCENARIOS =
  'rom-read rom-read-cold rom-write rom-write-cold rom-rmw rom-exec rom-write-unemulatable rom-straddle alias-update pci-rom slot-flip migrate fault-storm romd-probe romd-varstore page-tables-in-rom reexecute-loop'.split(
    ' ',
  );
export const SAMPLE_STRATEGIES =
  'mmap-prot-read shm-multi-map gup-nowait-reasons readonly-memslot readonly-memslot-v3 readonly-memslot-v4 readonly-memslot-v5 coexist private-cow no-slot-mmio writable-slot efault-skip'.split(
    ' ',
  );

const PATCHES: readonly (readonly [string, string, readonly Decision[]])[] = [
  ['judge-vma-by-access', 'wait for a page if the VMA allows this access', ['gupFailed']],
  [
    'introduce-readonly-memslot',
    'a write to a read-only slot leaves as an MMIO exit',
    ['gfnToHva', 'handleBadPage'],
  ],
  [
    'reexecute-writable-pfn',
    'enter the guest again only if its page can be written',
    ['reexecuteInstruction'],
  ],
  ['ro-cached-mmio', 'a refused write is remembered as MMIO', ['handleBadPage']],
  ['gup-reasons', 'gup tells I/O, read-only memory and no permission apart', ['gupFailed']],
];

const patches = (...names: readonly string[]): PatchInfo[] =>
  PATCHES.filter(([name]) => names.includes(name)).map(([name, subject, decisions]) => ({
    name,
    subject,
    source: 'merged series, August 2012',
    decisions,
  }));

function strategy(name: string): StrategyInfo {
  const merged = ['judge-vma-by-access', 'introduce-readonly-memslot', 'reexecute-writable-pfn'];
  const series = name.includes('-v3')
    ? patches('judge-vma-by-access', 'introduce-readonly-memslot', 'ro-cached-mmio')
    : /-v[45]/.test(name)
      ? patches('judge-vma-by-access', 'introduce-readonly-memslot')
      : name === 'readonly-memslot' || name === 'coexist'
        ? patches(...merged)
        : name === 'gup-nowait-reasons'
          ? patches('gup-reasons', 'introduce-readonly-memslot')
          : [];
  return {
    name,
    cover: `The ${name} way to give a guest read-only memory.`,
    source: 'the thread of August 2012',
    layout: 'shm, MAP_SHARED, PROT_READ; slot flags 0',
    series,
  };
}

/** What becomes of the VM, roughly as the real engine has it. */
function fateOf(scenario: string, name: string): Fate {
  const writes = /write|rmw|straddle|pci|storm|romd|flip|page-tables/.test(scenario);
  if (name === 'writable-slot') return writes ? 'corrupt' : 'ok';
  if (scenario === 'slot-flip' && name.startsWith('readonly')) return 'refused';
  if (scenario === 'reexecute-loop') return name.includes('-v5') ? 'livelock' : 'internal-error';
  if (scenario === 'page-tables-in-rom' && name === 'no-slot-mmio') return 'shutdown';
  if (scenario === 'rom-write-unemulatable' && /readonly|coexist|gup|no-slot/.test(name))
    return 'internal-error';
  const plain = name === 'mmap-prot-read' || name === 'shm-multi-map';
  if (plain && (writes || scenario === 'rom-read-cold')) return 'efault';
  return 'ok';
}

function scenario(name: string, hostile: boolean): ScenarioInfo {
  return {
    name,
    asks: hostile ? HOSTILE : `What does a guest get for ${name.replaceAll('-', ' ')}?`,
    operation: name === 'romd-varstore' ? 'flash command' : name === 'fault-storm' ? 'page' : 'store',
    source: 'seed mail of the thread, 16 August 2012',
    params: { writes: 1000 },
  };
}

function life(name: string, fate: Fate, hostile: boolean, cost: boolean): Life {
  const series = strategy(name).series.length > 0;
  const price = (n: number): { instructions?: number } => (cost ? { instructions: n } : {});
  const steps: LifeStep[] = [
    { at: 'guest', says: 'mov [rdi], al: stores 5a at f0010' },
    { at: 'hardware', says: 'stage 2 forbids the write: #NPF', ...price(1450) },
    { at: 'kvm_mmu_page_fault()', says: 'a write that stage 2 does not allow', ...price(620) },
    {
      at: '__gfn_to_hva_many()',
      says: series ? 'a write to a read-only slot: no address' : 'the slot gives a host address',
      decision: 'gfnToHva',
      ...(series ? { patch: 'introduce-readonly-memslot' } : {}),
    },
    ...(series
      ? []
      : ([
          { at: 'hva_to_pfn_fast()', says: 'not mapped writable in the host', ...price(310) },
          { at: 'hva_to_pfn_slow()', says: 'get_user_pages: -EFAULT', ...price(890) },
          { at: 'hva_to_pfn()', says: 'why no page? a fault for good', decision: 'gupFailed' },
        ] as const)),
    {
      at: 'kvm_handle_error_pfn()',
      says: fate === 'ok' ? 'emulate the store' : 'KVM_RUN returns -EFAULT',
      decision: 'handleBadPage',
      ...(series ? { patch: 'introduce-readonly-memslot' } : {}),
    },
    { at: 'x86_emulate_insn()', says: 'the store leaves as MMIO', ...price(1200) },
    { at: 'userspace', says: hostile ? HOSTILE : 'KVM_EXIT_MMIO: write of 1 byte; ignored', ...price(2100) },
    { at: 'guest', says: 'goes on' },
  ];
  return {
    rip: '1007',
    instruction: hostile ? HOSTILE : 'mov [rdi], al',
    gpa: 'f0010',
    access: 'write',
    facts: 'write slot vma vm_read pte.present',
    steps,
  };
}

const BY_STEP = { 'world-switch': 1450, 'page-fault': 620, 'emulate-decode': 800, 'userspace-exit': 2100 };

function run(s: ScenarioInfo, name: string, o: SampleOptions): Run {
  const fate = fateOf(s.name, name);
  const n = fate === 'ok' ? 1000 : 0;
  const exits = /readonly|coexist|gup|no-slot/.test(name) ? n : 0;
  const weight = 1 + (name.length % 5) / 4;
  const raw = Array.from({ length: 40 }, (_, i) => 90 * weight + ((i * 37) % 23) / 2);
  const byStep = Object.fromEntries(
    Object.entries(BY_STEP).map(([k, v]) => [k, Math.round(v * weight * 1000)]),
  );
  const total = Object.values(byStep).reduce((a, b) => a + b, 0);
  return {
    scenario: s.name,
    strategy: name,
    paging: 'npt',
    engine: 'core',
    fate,
    detail: o.hostile ? HOSTILE : fate === 'ok' ? 'The guest finished.' : `The VM came to ${fate}.`,
    because: o.hostile
      ? HOSTILE
      : `kvm_handle_bad_page() ${exits > 0 ? 'emulates the refused store, which leaves as MMIO' : 'has no answer to a fault pfn but -EFAULT'}.`,
    exits: {
      ...noExits(),
      'mmio-write': exits,
      hlt: fate === 'ok' ? 1 : 0,
      'internal-error': fate === 'internal-error' ? 1 : 0,
      shutdown: fate === 'shutdown' ? 1 : 0,
      efault: fate === 'efault' ? 1 : 0,
    },
    faults: {
      fixed: 3,
      emulate: exits,
      retry: 0,
      mmio: 0,
      async: 0,
      error: fate === 'efault' ? 1 : 0,
      guest: 0,
    },
    slotOps: s.name.startsWith('romd') ? 4 : 0,
    romIntact: fate !== 'corrupt',
    operations: n,
    decisions: {
      ...noDecisions(),
      gfnToHva: exits + 3,
      gupFailed: 1,
      handleBadPage: exits,
      handleEmulationFailure: fate === 'internal-error' ? 1 : 0,
    },
    steps: { 'world-switch': exits + 4, 'page-fault': exits + 3, 'mmio-exit': exits },
    stepsPerOperation: n === 0 ? 11 : 7 * weight,
    ...(o.cost ? { cost: { profile: 'sample', total, perOperation: total / 1000, byStep } } : {}),
    ...(o.timing
      ? { timing: { nsPerOp: raw.toSorted((a, b) => a - b)[20] ?? 0, mad: 3, samples: raw.length, raw } }
      : {}),
    predictions: [{ quantity: 'exits.mmio-write', formula: 'N', predicted: exits, measured: exits }],
    claims: [
      { claim: `fate is ${fate}`, source: 'kvm_handle_bad_page()', holds: true },
      ...(o.broken && name === 'coexist'
        ? [{ claim: o.hostile ? HOSTILE : 'no exits', source: 'nobody', holds: false, seen: '1,000 exits' }]
        : []),
    ],
    life: [life(name, fate, o.hostile ?? false, o.cost ?? false), life(name, fate, false, o.cost ?? false)],
    romWrites: [
      { rip: '1007', gpa: 'f0010', data: o.hostile ? HOSTILE : '5a', became: exits > 0 ? 'mmio exit' : fate },
    ],
    digest: `${s.name.length.toString(16).padStart(8, '0')}${name.length.toString(16).padStart(8, '0')}`,
  };
}

/** Makes the sample. Same options, same Comparison. */
export function sampleComparison(options: SampleOptions = {}): Comparison {
  const names = options.scenarios ?? ['rom-write'];
  const scenarios = (options.hostile ? [...names, HOSTILE] : names).map((s) =>
    scenario(s, options.hostile ?? false),
  );
  const strategies = (options.strategies ?? SAMPLE_STRATEGIES).map(strategy);
  return {
    schema: COMPARISON_SCHEMA,
    version: '0.1.0',
    command: `compare --scenario ${names.join(' ')} --seed 1`,
    seed: 1,
    paging: 'npt',
    ...(options.cost ? { profile: 'sample' } : {}),
    strategies,
    scenarios,
    runs: scenarios.flatMap((s) => strategies.map((t) => run(s, t.name, options))),
    conformance: { stock: { cases: 812, agree: 812 }, prepatch: { cases: 790, agree: 790 } },
  };
}
