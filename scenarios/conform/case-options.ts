/** Options of a recorded case: words that each set something of the VM or of its vCPU, with numbers in hex. */
import { z } from 'zod';
import type { VcpuSetup, VmOptions } from '../../engine/machine.ts';

/** The recorder's patience with KVM_RUN, in milliseconds: then its signal comes. */
const PATIENCE_MS = 1000;

/** The registers by which a guest takes part in asynchronous page faults. */
const MSR_KVM_ASYNC_PF_EN = 0x4b564d02;
const MSR_KVM_ASYNC_PF_INT = 0x4b564d06;
const APF_RESERVED = 0x30;

/** What the options of a case come to. */
export interface CaseOptions {
  readonly vm: VmOptions;
  readonly vcpu: Pick<VcpuSetup, 'cpl' | 'gdt' | 'idt' | 'msrs'>;
  /** RFLAGS instead of the registers' own. */
  readonly rflags?: number;
  /** A userfaultfd handler takes longer than the recorder waits for KVM_RUN. */
  readonly slowHandler: boolean;
}

/** How many numbers follow each option's name. */
const NUMBERS: Readonly<Record<string, number>> = {
  /** Privilege level 3. */
  cpl3: 0,
  /** RFLAGS. */
  rflags: 1,
  /** KVM_CAP_EXIT_ON_EMULATION_FAILURE. */
  emufail: 0,
  /** KVM_CREATE_IRQCHIP. */
  irqchip: 0,
  /** MSR_KVM_ASYNC_PF_EN, and the vector for MSR_KVM_ASYNC_PF_INT. */
  apf: 2,
  /** Base and limit of a descriptor table. */
  gdt: 2,
  idt: 2,
  /** Milliseconds after which the handler serves a page. */
  uffdwait: 1,
};

/** One option, checked. */
export const optionSchema = z.string().superRefine((text, context) => {
  const [name = '', ...numbers] = text.split(' ');
  const want = NUMBERS[name];
  const fits = numbers.length === want && numbers.every((n) => /^[0-9a-f]{1,16}$/i.test(n));
  const known = Object.entries(NUMBERS).map(([n, count]) => [n, ...'HH'.slice(0, count)].join(' '));
  if (!fits)
    context.addIssue({ code: 'custom', message: `'${text}' is none of the options: ${known.join(', ')}` });
});

/** Why KVM would not take the options' MSR_KVM_ASYNC_PF_EN; undefined if it does, or is not asked to. */
export function wrongApf(
  texts: readonly string[],
  slots: readonly { readonly gpa: number; readonly size: number }[],
): string | undefined {
  const value = Number.parseInt(texts.find((t) => t.startsWith('apf '))?.split(' ')[1] ?? '0', 16);
  if (value === 0) return undefined;
  if (!texts.includes('irqchip')) return 'apf needs irqchip';
  if ((value & APF_RESERVED) !== 0) return 'apf: bits 4 and 5 are reserved';
  const area = value - (value % 64);
  return slots.some((s) => area >= s.gpa && area < s.gpa + s.size)
    ? undefined
    : 'apf: no slot holds the area';
}

/** What a case's options say. */
export function optionsOf(texts: readonly string[]): CaseOptions {
  const given = new Map<string, number[]>();
  for (const text of texts) {
    const [name = '', ...numbers] = text.split(' ');
    given.set(
      name,
      numbers.map((n) => Number.parseInt(n, 16)),
    );
  }
  const rflags = given.get('rflags')?.[0];
  const table = (name: 'gdt' | 'idt') => {
    const [base, limit] = given.get(name) ?? [];
    return base === undefined || limit === undefined ? {} : { [name]: { base, limit } };
  };
  const [enable, vector] = given.get('apf') ?? [];
  const msrs = { [MSR_KVM_ASYNC_PF_INT]: vector ?? 0, [MSR_KVM_ASYNC_PF_EN]: enable ?? 0 };
  return {
    vm: { irqchip: given.has('irqchip'), exitOnEmulationFailure: given.has('emufail') },
    vcpu: {
      ...(given.has('cpl3') ? { cpl: 3 } : {}),
      ...table('gdt'),
      ...table('idt'),
      ...(given.has('apf') ? { msrs } : {}),
    },
    ...(rflags === undefined ? {} : { rflags }),
    slowHandler: (given.get('uffdwait')?.[0] ?? 0) >= PATIENCE_MS,
  };
}
