/**
 * A file of measured costs (`costs.json`): what probes took on real kernels, and what each probe ran. Checked
 * when it is read; what comes out can be run on the core and held against prices.
 */
import { z } from 'zod';
import { type CostProfile, predictProbe } from '../../engine/cost.ts';
import type { Machine } from '../../engine/machine.ts';
import type { StepCounts } from '../../engine/observation.ts';
import { PRICED_STEPS } from '../../engine/steps.ts';
import type { Measurement } from './calibrate.ts';
import { HOST_PROBES, PROBE_ACTS, type Probe, type ProbeAct, runProbes } from './probes.ts';

const hex = z.string().regex(/^([0-9a-f]{2})+$/i, 'has to be pairs of hex digits');
const rom = z.object({
  flags: z.int().min(0),
  type: z.enum(['shm', 'anon', 'priv', 'file']),
  prot: z.enum(['r', 'rw']),
  pages: z.int().min(1).max(4096),
  host: z.enum(['resident', 'unmapped', 'cold']),
});
const acts = z.string().transform((text, context): ProbeAct[] =>
  text.split(/,\s*(?:then\s+)?/).map((word) => {
    const act = PROBE_ACTS.find((a) => a === word);
    if (act === undefined) {
      context.addIssue({
        code: 'custom',
        message: `'${word}': a slot can be asked to ${PROBE_ACTS.join(', ')}`,
      });
    }
    return act ?? 'create';
  }),
);
const probe = z.discriminatedUnion(
  'kind',
  [
    z.looseObject({ kind: z.literal('host') }),
    z.looseObject({ kind: z.literal('loop'), code: hex, rom: rom.optional() }),
    z.looseObject({ kind: z.literal('fault'), code: hex, rom }),
    z.looseObject({ kind: z.literal('ioctl'), act: acts, rom }),
  ],
  { error: 'kind has to be host, loop, fault or ioctl' },
);
const result = z.looseObject({ id: z.string(), p50: z.number().positive(), noisy: z.boolean().optional() });

/** What a file of measured costs has to look like. */
export const COSTS_SCHEMA = z
  .looseObject({
    kernel: z.string().optional(),
    unit: z.string().optional(),
    tscRead: z.number().min(0).optional(),
    probes: z.record(z.string(), probe),
    kernels: z.record(z.string(), z.array(result)),
  })
  .superRefine((file, context) => {
    for (const [id, { kind }] of Object.entries(file.probes)) {
      if (kind !== 'host' || id in HOST_PROBES) continue;
      const known = Object.keys(HOST_PROBES).join(', ');
      context.addIssue({ code: 'custom', path: ['probes', id], message: `a host probe is one of ${known}` });
    }
    for (const [kernel, results] of Object.entries(file.kernels)) {
      results.forEach(({ id }, i) => {
        if (id in file.probes) return;
        const message = `nothing in 'probes' says what '${id}' ran`;
        context.addIssue({ code: 'custom', path: ['kernels', kernel, i], message });
      });
    }
  });
/** A file of measured costs. */
export type CostsFile = z.infer<typeof COSTS_SCHEMA>;

/** What a file with a cost profile has to look like. */
export const PROFILE_SCHEMA = z.looseObject({
  name: z.string().min(1),
  kernel: z.string(),
  unit: z.string().min(1),
  overhead: z.number().min(0).default(0),
  steps: z.partialRecord(z.enum(PRICED_STEPS), z.number().min(0)),
}) satisfies z.ZodType<CostProfile>;

/** Where a kernel's probes lead: what was measured, what was not, and what the core does not get through. */
export interface ProbedCosts {
  readonly measurements: readonly Measurement[];
  readonly unmeasured: readonly {
    readonly kernel: string;
    readonly id: string;
    readonly steps: StepCounts;
  }[];
  /** Measured, but on the core the guest does not reach its end. */
  readonly failed: readonly { readonly kernel: string; readonly id: string }[];
}

/** Runs the file's probes under its kernels. */
export function probeCosts(file: CostsFile, createMachine: (kernel: string) => Machine): ProbedCosts {
  const probes = new Map(Object.entries(file.probes).map(([id, p]) => [id, asProbe(p)]));
  const measurements: Measurement[] = [];
  const unmeasured: { kernel: string; id: string; steps: StepCounts }[] = [];
  const failed: { kernel: string; id: string }[] = [];
  for (const [kernel, results] of Object.entries(file.kernels)) {
    const found = runProbes(probes, () => createMachine(kernel));
    for (const { id, p50, noisy } of results) {
      const steps = found.get(id);
      if (steps === undefined) failed.push({ kernel, id });
      else measurements.push({ kernel, id, measured: p50, noisy: noisy ?? false, steps });
    }
    for (const [id, steps] of found) {
      if (!results.some((r) => r.id === id)) unmeasured.push({ kernel, id, steps });
    }
  }
  return { measurements, unmeasured, failed };
}

function asProbe(p: CostsFile['probes'][string]): Probe {
  if (p.kind === 'host') return { kind: 'host' };
  if (p.kind === 'ioctl') return { kind: 'ioctl', acts: p.act, rom: p.rom };
  if (p.kind === 'fault') return { kind: 'fault', code: p.code, rom: p.rom };
  return p.rom === undefined ? { kind: 'loop', code: p.code } : { kind: 'loop', code: p.code, rom: p.rom };
}

/** Predictions for probes that nobody measured. */
export function predictUnmeasured(profile: CostProfile, probed: ProbedCosts): readonly PredictedProbe[] {
  return probed.unmeasured.map(({ kernel, id, steps }) => ({
    kernel,
    id,
    predicted: predictProbe(profile, steps),
  }));
}

/** A probe without a measurement, predicted. */
export interface PredictedProbe {
  readonly kernel: string;
  readonly id: string;
  readonly predicted: number;
}
