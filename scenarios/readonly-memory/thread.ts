/**
 * The thread of August 2012 as claims that can be tried: who said what in which message, in our words, the
 * runs that try it, and what of those runs decides. The messages before the last are known from its quotes.
 * All times are UTC: the quotes give Xiao's (+0800), and the archive's "EST" is four hours behind UTC, as the cover
 * letter of v5 shows, which is dated both ways.
 */
import type { Paging } from '../../engine/machine.ts';
import type { Run } from '../run/comparison.ts';

/** A run that a claim needs: a scenario under a strategy, maybe with patches more or fewer. */
export interface Trial {
  readonly scenario: string;
  readonly strategy: string;
  readonly with?: readonly string[];
  readonly without?: readonly string[];
  readonly paging?: Paging;
  readonly params?: Readonly<Record<string, string | number>>;
}

/** A claim before it is tried. */
export interface ThreadClaim {
  /** Kebab-case name, for permalinks and scripts. */
  readonly id: string;
  readonly who: string;
  /** The message it is in. */
  readonly message: string;
  /** The claim, in our words. */
  readonly claim: string;
  readonly trials: readonly Trial[];
  /** Given the runs of the trials in order: yes, no, or the condition under which it holds ("if …"). */
  readonly judge: (runs: readonly Run[]) => boolean | string;
}

/** Ties the names of the trials to the names that the judge uses, and forgets them again. */
function claim<K extends string>(
  id: string,
  [who, message]: readonly [who: string, message: string],
  text: string,
  trials: Readonly<Record<K, Trial>>,
  judge: (runs: Readonly<Record<K, Run>>) => boolean | string,
): ThreadClaim {
  const names = Object.keys(trials) as K[];
  return {
    id,
    who,
    message,
    claim: text,
    trials: names.map((name) => trials[name]),
    judge: (runs) => judge(Object.fromEntries(names.map((name, i) => [name, runs[i]])) as Record<K, Run>),
  };
}

const XIAO_7 = ['Xiao Guangrong', '7 August 2012, 09:47 UTC, cover letter of v5'] as const;
const MARCELO_10 = ['Marcelo Tosatti', '10 August 2012, 18:14 UTC'] as const;
const XIAO_11 = ['Xiao Guangrong', '11 August 2012, 03:36 UTC'] as const;
const MARCELO_13 = ['Marcelo Tosatti', '13 August 2012, 17:39 UTC'] as const;
const MARCELO_14 = ['Marcelo Tosatti', '14 August 2012, 15:25 UTC'] as const;
const XIAO_16 = ['Xiao Guangrong', '16 August 2012, 05:49 UTC'] as const;
const MARCELO_16 = ['Marcelo Tosatti', '16 August 2012, 16:03 UTC, the last message'] as const;

/** A trial in short: `at('rom-write', 'coexist')`. */
const at = (scenario: string, strategy: string, more: Omit<Trial, 'scenario' | 'strategy'> = {}): Trial => ({
  scenario,
  strategy,
  ...more,
});

const mmio = (r: Run): number => r.exits['mmio-read'] + r.exits['mmio-write'];
const ok = (...runs: readonly Run[]): boolean => runs.every((r) => r.fate === 'ok' && r.romIntact);
/** Not a number where the engine does not see steps: no such claim holds there. */
const stepsOf = (r: Run): number => r.stepsPerOperation ?? Number.NaN;
const sameOutcome = (a: Run, b: Run): boolean => a.fate === b.fate && mmio(a) === mmio(b);

/** The claims, in the order in which the thread makes them. */
export const THREAD: readonly ThreadClaim[] = [
  claim(
    'cold-read-crashes',
    XIAO_7,
    'Reading read-only memory whose page is not in the host gets a fault pfn with async not allowed, and the VM crashes.',
    { cold: at('rom-read-cold', 'mmap-prot-read'), warm: at('rom-read', 'mmap-prot-read') },
    ({ cold, warm }) => cold.fate === 'efault' && ok(warm),
  ),
  claim(
    'reads-of-a-readonly-slot-are-plain',
    XIAO_7,
    'Read accesses to a read-only memslot just work.',
    {
      read: at('rom-read', 'readonly-memslot'),
      cold: at('rom-read-cold', 'readonly-memslot'),
      run: at('rom-exec', 'readonly-memslot'),
    },
    ({ read, cold, run }) => ok(read, cold, run) && mmio(read) + mmio(cold) + mmio(run) === 0,
  ),
  claim(
    'writes-to-a-readonly-slot-exit',
    XIAO_7,
    'A write to a read-only memslot causes a KVM_EXIT_MMIO exit.',
    { write: at('rom-write', 'readonly-memslot'), odd: at('rom-write-unemulatable', 'readonly-memslot') },
    ({ write, odd }) =>
      ok(write) &&
      write.exits['mmio-write'] === write.operations &&
      (ok(odd) || 'if KVM can emulate the instruction that writes'),
  ),
  claim(
    'write-protected-mappings-work-already',
    MARCELO_10,
    'Memslots over a write-protected mapping work today, as long as nothing writes to them.',
    {
      read: at('rom-read', 'mmap-prot-read'),
      run: at('rom-exec', 'mmap-prot-read'),
      write: at('rom-write', 'mmap-prot-read'),
      cold: at('rom-read-cold', 'mmap-prot-read'),
    },
    ({ read, run, write, cold }) =>
      ok(read, run) &&
      !ok(write) &&
      (ok(cold) || 'if every page is in memory as well: a cold read kills the VM too'),
  ),
  claim(
    'flag-and-mapping-coexist',
    XIAO_11,
    'The flag and a write-protected mapping do not conflict: together they do what the flag does.',
    {
      read: at('rom-read-cold', 'coexist'),
      write: at('rom-write', 'coexist'),
      flagRead: at('rom-read-cold', 'readonly-memslot'),
      flagWrite: at('rom-write', 'readonly-memslot'),
    },
    (r) => ok(r.read, r.write) && sameOutcome(r.read, r.flagRead) && sameOutcome(r.write, r.flagWrite),
  ),
  claim(
    'the-check-of-vm-write-is-the-bug',
    XIAO_11,
    'The crash comes from the test of VM_WRITE before an asynchronous fault is allowed.',
    {
      before: at('rom-read-cold', 'coexist', { without: ['judge-vma-by-access'] }),
      after: at('rom-read-cold', 'coexist'),
    },
    ({ before, after }) => before.fate === 'efault' && ok(after),
  ),
  claim(
    'qemu-mappings-have-the-bug-too',
    XIAO_11,
    'The crash is not about the flag: a write-protected mapping of the VMM has it just the same.',
    { file: at('rom-read-cold', 'mmap-prot-read'), shm: at('rom-read-cold', 'shm-multi-map') },
    ({ file, shm }) => file.fate === 'efault' && (shm.fate === 'efault' || 'if it maps a file'),
  ),
  claim(
    'vm-write-only-guesses',
    MARCELO_13,
    'VM_WRITE is a guess at why gup_nowait failed; if gup gave its reason, no guess would be needed.',
    {
      guess: at('rom-read-cold', 'mmap-prot-read'),
      told: at('rom-read-cold', 'mmap-prot-read', { with: ['gup-reasons'] }),
    },
    ({ guess, told }) => guess.fate === 'efault' && ok(told),
  ),
  claim(
    'the-crash-can-be-fixed-separately',
    MARCELO_13,
    'The crash on a cold read can be fixed separately, without a read-only memslot.',
    {
      cold: at('rom-read-cold', 'mmap-prot-read', { with: ['judge-vma-by-access'] }),
      write: at('rom-write', 'mmap-prot-read', { with: ['judge-vma-by-access'] }),
    },
    ({ cold, write }) => ok(cold) && write.fate === 'efault',
  ),
  claim(
    'reexecute-looks-at-memslots-only',
    MARCELO_13,
    'reexecute_instruction() can say yes about a region that is write protected, which breaks "a write fault leaves as an MMIO exit".',
    {
      v5: at('rom-write-unemulatable', 'readonly-memslot-v5'),
      shadow: at('rom-write-unemulatable', 'readonly-memslot-v5', { paging: 'shadow' }),
    },
    ({ shadow }) =>
      shadow.fate === 'livelock' &&
      'if paging is shadow: up to 3.8 the function says no at once under nested paging (the base of 6.1, run here, asks under both)',
  ),
  claim(
    'two-mappings-give-two-protections',
    MARCELO_14,
    'Userspace can map one shared memory region several times with different protections: the VMM writes, the guest reads.',
    { update: at('alias-update', 'shm-multi-map') },
    ({ update }) => ok(update) && mmio(update) === 0,
  ),
  claim(
    'reexecute-must-ask-the-user-mapping',
    MARCELO_14,
    'reexecute_instruction() has to check the permission of the user mapping as well as the memslot.',
    {
      slotOnly: at('rom-write-unemulatable', 'gup-nowait-reasons', {
        without: ['reexecute-writable-pfn'],
        paging: 'shadow',
      }),
      both: at('rom-write-unemulatable', 'gup-nowait-reasons', { paging: 'shadow' }),
    },
    ({ slotOnly, both }) => slotOnly.fate === 'livelock' && both.fate === 'internal-error',
  ),
  claim(
    'two-mappings-die-of-a-write',
    XIAO_16,
    'With two mappings, a guest that writes a read-only gfn crashes the VM, because the fault path returns a fault pfn.',
    { write: at('rom-write', 'shm-multi-map') },
    ({ write }) => write.fate === 'efault',
  ),
  claim(
    'the-vmm-cannot-tell',
    XIAO_16,
    'The VMM cannot detect this kind of fault.',
    { die: at('rom-write', 'shm-multi-map'), skip: at('rom-write', 'efault-skip') },
    ({ die, skip }) =>
      die.fate === 'efault' && (!ok(skip) || 'if the VMM does not decode the instruction at rip itself'),
  ),
  claim(
    'a-pci-rom-write-should-be-ignored',
    XIAO_16,
    'A guest that writes the ROM of a PCI device dies with a write-protected mapping, where the real machine ignores the write.',
    { die: at('pci-rom', 'shm-multi-map'), ignored: at('pci-rom', 'readonly-memslot') },
    ({ die, ignored }) => die.fate === 'efault' && ok(ignored),
  ),
  claim(
    'romd-needs-mmio-writes',
    XIAO_16,
    'ROMD cannot be built on write-protected mappings, because a write to it is an MMIO access.',
    {
      probe: at('romd-probe', 'shm-multi-map'),
      store: at('romd-varstore', 'shm-multi-map'),
      flag: at('romd-varstore', 'readonly-memslot'),
    },
    ({ probe, store, flag }) => probe.fate === 'efault' && store.fate === 'efault' && ok(flag),
  ),
  claim(
    'gup-could-tell-the-reason',
    XIAO_16,
    'gup could be reworked to tell the fault reason, and the write then be handled.',
    { gup: at('rom-write', 'gup-nowait-reasons'), flag: at('rom-write', 'readonly-memslot') },
    ({ gup, flag }) => ok(gup) && sameOutcome(gup, flag),
  ),
  claim(
    'gup-reasons-are-more-complex',
    XIAO_16,
    'Telling the reason in gup is the more complicated way (tried as: more steps on the fault path of every refused store).',
    { gup: at('rom-write', 'gup-nowait-reasons'), flag: at('rom-write', 'readonly-memslot') },
    ({ gup, flag }) => stepsOf(gup) > stepsOf(flag),
  ),
  claim(
    'always-retrying-loops',
    XIAO_16,
    'Always retrying an instruction that KVM cannot emulate and that writes read-only memory is an endless loop.',
    { loop: at('rom-write-unemulatable', 'readonly-memslot', { with: ['leave-looping'] }) },
    ({ loop }) => loop.fate === 'livelock',
  ),
  claim(
    'after-an-mmio-exit-it-fails-again',
    XIAO_16,
    'Leaving with an MMIO exit does not help: when userspace has finished it, the emulation fails again.',
    { mmio: at('rom-write-unemulatable', 'readonly-memslot', { with: ['reexec-mmio'] }) },
    ({ mmio: run }) => !ok(run),
  ),
  claim(
    'reads-never-reach-the-emulator',
    XIAO_16,
    'An internal error is fine for all accesses, since reads are fixed on the fault path and never go to the emulator.',
    {
      read: at('rom-read', 'readonly-memslot'),
      back: at('rom-read-back', 'readonly-memslot'),
      v3: at('rom-read-back', 'readonly-memslot-v3'),
    },
    ({ read, back, v3 }) =>
      ok(read, back) &&
      back.exits['mmio-read'] === 0 &&
      (v3.exits['mmio-read'] === 0 || 'if a refused write is not remembered as MMIO, as v3 did'),
  ),
  claim(
    'real-hardware-would-loop',
    MARCELO_16,
    'An endless loop is what would happen on real hardware.',
    {
      faults: at('rom-write-unemulatable', 'readonly-memslot', { with: ['leave-looping'] }),
      ignored: at('rom-write-unemulatable', 'private-cow'),
    },
    ({ faults, ignored }) =>
      faults.fate === 'livelock' &&
      (!ok(ignored) ||
        'if the write faults and its handler changes nothing; a store that needs no fault is simply done'),
  ),
  claim(
    'internal-error-or-looping',
    MARCELO_16,
    'Either KVM_EXIT_INTERNAL_ERROR or leaving the guest looping will do (tried as: the ROM is safe in both).',
    {
      error: at('rom-write-unemulatable', 'readonly-memslot'),
      loop: at('rom-write-unemulatable', 'readonly-memslot', { with: ['leave-looping'] }),
    },
    ({ error, loop }) =>
      error.fate === 'internal-error' && loop.fate === 'livelock' && error.romIntact && loop.romIntact,
  ),
];
