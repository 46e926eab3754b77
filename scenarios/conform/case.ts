/**
 * The form of a recorded case, checked: one case is one JSON object, and a key or a word that is not known here is an
 * error, for a case that is only half understood would be compared with something else than what was recorded.
 */
import { z } from 'zod';
import { HUGE_PAGE_SIZE } from '../../engine/machine.ts';
import { optionSchema, wrongApf } from './case-options.ts';
import { RECORDED_NAMES } from './kernels.ts';

const u32 = z.int().min(0).max(0xffff_ffff);
const address = z
  .int()
  .min(0)
  .max(2 ** 52);
const byte = z.int().min(0).max(0xff);
const hex = z.string().regex(/^([0-9a-f]{2})*$/i, 'has to be pairs of hex digits');
const hexNumber = z.string().regex(/^[0-9a-f]{1,16}$/i, 'has to be a hex number');

/** Bytes of memory behind all slots of a case. The recorded ones have at most 4 MiB. */
const MEMORY_MAX = 2 ** 26;
/** Exits of a guest that is to be written down. The recorded ones stop at 40. */
const EXITS_MAX = 100_000;

/** Host memory behind a slot, in the recorder's words. */
const MEMORY_TYPES = [
  /** A memfd, mapped shared. */
  'shm',
  /** Private anonymous memory, filled and then protected. */
  'anon',
  /** The memfd, mapped private. */
  'priv',
  /** A file's page cache, mapped shared. */
  'file',
  /** Anonymous memory of transparent huge pages, at an address that lies in them as the guest's does… */
  'thp',
  /** …at another, */
  'thpna',
  /** …and without huge pages. */
  'nothp',
  /** A memfd of huge pages, mapped shared, or private. */
  'huge',
  'hugep',
  /** Memory of a device. */
  'pfn',
  /** Anonymous memory whose pages a userfaultfd handler has. */
  'uffd',
] as const;
export type MemoryType = (typeof MEMORY_TYPES)[number];

/** `dup1`: the memory of slot 1 once more. */
const sameMemory = z.templateLiteral(['dup', z.int().min(0)]);

const slot = z.strictObject({
  id: u32,
  gpa: address,
  size: address,
  flags: u32,
  type: z.union([z.enum(MEMORY_TYPES), sameMemory], {
    error: `is no kind of memory: ${MEMORY_TYPES.join(', ')}, dupN`,
  }),
  prot: z.enum(['r', 'rw']),
  fill: byte,
});

/** What the VMM does when the guest writes the action's number to port 0xe0. */
const action = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.literal('flags'), slot: u32, flags: u32 }),
  z.strictObject({ verb: z.literal('create'), slot: u32, flags: u32 }),
  z.strictObject({ verb: z.literal('delete'), slot: u32 }),
  z.strictObject({ verb: z.literal('mprotect'), slot: u32, prot: z.int().min(0).max(7) }),
  z.strictObject({ verb: z.literal('poke'), slot: u32, offset: address, hex }),
  z.strictObject({ verb: z.literal('evict'), slot: u32, how: z.int().optional() }),
  z.strictObject({ verb: z.literal('dirty'), slot: u32 }),
]);

/** One entry of a recorded transcript. */
const exit = z.union(
  [
    z.strictObject({
      r: z.literal('MMIO'),
      w: z.int().min(0).max(1),
      gpa: hexNumber,
      /** 0 from the kernel that leaves a failed emulation as MMIO. */
      len: z.int().min(0).max(8),
      data: hex.optional(),
    }),
    z.strictObject({
      r: z.literal('IO'),
      port: z.int().min(0).max(0xffff),
      out: z.int().min(0).max(1),
      size: z.int().min(1).max(4),
    }),
    z.strictObject({ r: z.literal('ACT'), verb: z.string() }),
    z.strictObject({
      r: z.literal('INTERNAL_ERROR'),
      sub: z.int().min(1),
      ndata: z.int().min(0).max(16).optional(),
      flags: z.int().min(0).optional(),
      insn: hex.optional(),
    }),
    z.strictObject({ r: z.literal('END'), v: byte }),
    z.strictObject({ r: z.enum(['HLT', 'SHUTDOWN']) }),
    z.strictObject({ r: z.string().regex(/^EXIT_-?\d+$/) }),
    z.strictObject({ ret: z.int() }),
    z.strictObject({ dirty: hex }),
    z.strictObject({ resident: z.int().min(0) }),
  ],
  {
    error:
      'is no entry of a transcript: MMIO, IO, ACT, ret, dirty, resident, INTERNAL_ERROR, HLT, SHUTDOWN or END, with their fields',
  },
);

const counters = z.record(z.string(), z.int().min(0));

const outcome = z.strictObject({
  slots: z.array(z.int()),
  exits: z.array(exit),
  errno: z.int().min(0),
  regs: z.array(hexNumber).length(8).optional(),
  rip: hexNumber.optional(),
  rflags: hexNumber.optional(),
  mem: z.record(z.string(), hexNumber).optional(),
  /** The guest ran away from its code: only exits and errno mean anything. */
  wanders: z.boolean().optional(),
  /** What `kvm_run` said beside an error: `reason 10`. */
  mf: z.string().optional(),
  /** KVM's own statistics of the vCPU and of the VM; a counter that is not named is 0. */
  vcpu: counters.optional(),
  vm: counters.optional(),
  /** Faults that a userfaultfd handler was told of: slot, offset (hex), 1 for a write. */
  uffd: z.array(z.tuple([u32, hexNumber, z.int()])).optional(),
});

/** The number of the slot whose memory this one has too, for the types that say so. */
export const otherSlot = (type: string): number | undefined =>
  type.startsWith('dup') ? Number(type.slice(3)) : undefined;

/** Registers that a case may set. */
const REGISTERS = [
  ...['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'],
  ...['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15', 'rip', 'rflags'],
] as const;

/** A line of a file of recorded cases. */
export const caseSchema = z
  .strictObject({
    id: z.string().min(1),
    mode: z.enum(['real16', 'prot32', 'long64']),
    slots: z.array(slot).max(512),
    load: z.array(z.strictObject({ gpa: address, hex })),
    segs: z.partialRecord(z.enum(['es', 'cs', 'ss', 'ds', 'fs', 'gs']), u32).default({}),
    regs: z.partialRecord(z.enum(REGISTERS), z.int().min(0)),
    cr3: address.optional(),
    mmioRead: byte.default(0xa5),
    maxExits: z.int().min(1).max(EXITS_MAX).default(40),
    actions: z.array(action).default([]),
    asm: z.string(),
    opts: z.array(optionSchema).default([]),
    expect: z.partialRecord(z.enum(RECORDED_NAMES), outcome),
    notRun: z.array(z.enum(RECORDED_NAMES)).optional(),
    /** For people. */
    note: z.string().optional(),
  })
  .superRefine((c, context) => {
    const complain = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    const ids = new Set(c.slots.map((s) => s.id));
    for (const [i, a] of c.actions.entries())
      if (!ids.has(a.slot)) complain(['actions', i, 'slot'], `there is no slot ${a.slot} in this case`);
    let bytes = 0;
    for (const [i, { size }] of c.slots.entries()) {
      bytes += size;
      if (bytes > MEMORY_MAX)
        complain(['slots', i, 'size'], `the slots hold ${bytes} bytes; the limit is ${MEMORY_MAX}`);
    }
    for (const [i, a] of c.actions.entries()) {
      const size = c.slots.find((s) => s.id === a.slot)?.size ?? 0;
      if (a.verb === 'poke' && a.offset + a.hex.length / 2 > size)
        complain(['actions', i, 'offset'], 'it pokes beyond the end of its slot');
    }
    const wrong = wrongApf(c.opts, c.slots);
    if (wrong !== undefined) complain(['opts'], wrong);
    for (const [i, { type, size }] of c.slots.entries())
      if (type.startsWith('huge') && size % HUGE_PAGE_SIZE !== 0)
        complain(['slots', i, 'size'], 'is not made of whole huge pages (2 MiB)');
    for (const [i, { id, type }] of c.slots.entries()) {
      const of = otherSlot(type);
      if (of !== undefined && (of === id || !c.slots.slice(0, i).some((s) => s.id === of)))
        complain(['slots', i, 'type'], `no slot before it is ${of}`);
    }
    for (const [i, { gpa, hex: bytes }] of c.load.entries()) {
      const end = gpa + bytes.length / 2;
      if (!c.slots.some((s) => gpa >= s.gpa && end <= s.gpa + s.size))
        complain(['load', i], 'no slot holds these bytes');
    }
    if (Object.keys(c.expect).length === 0) complain(['expect'], 'it names no kernel');
  });

/** A recorded case. */
export type OracleCase = z.infer<typeof caseSchema>;
/** A slot of a recorded case: the ioctl, and the host memory behind it. */
export type CaseSlot = OracleCase['slots'][number];
/** What the VMM does when the guest writes the action's number to port 0xe0. */
export type CaseAction = OracleCase['actions'][number];
/** What a kernel did. */
export type RecordedOutcome = z.infer<typeof outcome>;
/** One entry of a recorded transcript. */
export type CaseExit = RecordedOutcome['exits'][number];

/** What the core did: everything that a recording may say, and what none says. */
export interface CaseOutcome extends RecordedOutcome {
  /** The guest asked for what the core does not know (an instruction, an option), so that nothing is comparable. */
  readonly unsupported?: string;
}
