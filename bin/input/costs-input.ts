/** Measured costs and profiles from files: read, run on the core, and held against each other. */
import type { CostProfile } from '../../engine/cost.ts';
import { LINUX_61_NPT } from '../../engine/profiles/linux-6.1-npt.ts';
import type { Calibration } from '../../scenarios/costs/calibrate.ts';
import type { ProbedCosts } from '../../scenarios/costs/costs-file.ts';
import { UsageError } from '../io.ts';
import { check, parseJson, readJson, readText } from './input.ts';
import { byName } from './mistyped.ts';

/** The measurements that come along: Linux 6.1 on AMD nested paging. */
const MEASURED = 'kvm-6.1-costs.json.gz';

/** What was measured, what the core makes of it, and what the file says of itself. */
export interface Probed extends ProbedCosts {
  /** The kernel that was measured, in words. */
  readonly kernel: string;
  readonly unit: string;
  /** What measuring itself adds. */
  readonly overhead: number;
}

/** Reads a file of costs (or the one that comes along) and runs its probes; `only` names kernels to keep. */
export async function probeFile(
  path: string | undefined,
  only: readonly string[] | undefined,
  cwd: string,
): Promise<Probed> {
  const [{ COSTS_SCHEMA, probeCosts }, { loadText }, seriesOf, { createCoreMachine }] = await Promise.all([
    import('../../scenarios/costs/costs-file.ts'),
    import('../../scenarios/data/recordings.ts'),
    recordedKernels(),
    import('../../engine/core/core-machine.ts'),
  ]);
  const where = path ?? MEASURED;
  const text = path === undefined ? loadText(MEASURED) : await readText(path, cwd);
  const file = check(parseJson(text, where), COSTS_SCHEMA, `${where}: not a file of costs`);
  const names = Object.keys(file.kernels).map((name) => ({ name }));
  const kept = only?.map((k) => byName(k, names, `kernel in ${where}`).name) ?? names.map((n) => n.name);
  const kernels = Object.fromEntries(kept.map((k) => [k, file.kernels[k] ?? []]));
  const machines = new Map(kept.map((k) => [k, seriesOf(k)]));
  const probed = probeCosts({ ...file, kernels }, (k) =>
    createCoreMachine(machines.get(k) ?? { series: [] }),
  );
  if (probed.measurements.length === 0) throw new UsageError(`${where}: no measurement in it`);
  return {
    ...probed,
    kernel: file.kernel ?? kept.join(', '),
    // The file explains its unit at length; the first word names it.
    unit: file.unit?.split(' ', 1)[0] ?? 'instructions',
    overhead: file.tscRead ?? 0,
  };
}

/** What makes a machine behave like a recorded kernel, by the kernel's name. */
async function recordedKernels() {
  const [{ RECORDED_KERNELS }, { PATCHES }] = await Promise.all([
    import('../../scenarios/conform/kernels.ts'),
    import('../../strategies/index.ts'),
  ]);
  return (name: string) => {
    const { patches, paging } = byName(name, RECORDED_KERNELS, 'recorded kernel');
    return { series: patches.map((p) => byName(p, PATCHES, 'patch')), paging };
  };
}

/** The cost profile in a file, as `compare calibrate --out` writes it, or the one that comes along. */
export async function readProfile(path: string | undefined, cwd: string): Promise<CostProfile> {
  if (path === undefined) return LINUX_61_NPT;
  const { PROFILE_SCHEMA } = await import('../../scenarios/costs/costs-file.ts');
  return readJson(path, cwd, PROFILE_SCHEMA, 'a cost profile');
}

/** Fits a profile to what was measured. */
export async function fitProfile(probed: Probed, name: string): Promise<Calibration> {
  const { calibrate } = await import('../../scenarios/costs/calibrate.ts');
  const { kernel, unit, overhead, measurements } = probed;
  const fitted = calibrate(measurements, { name, kernel, unit, overhead });
  if ('error' in fitted) throw new UsageError(`cannot calibrate: ${fitted.error}`);
  return fitted;
}
