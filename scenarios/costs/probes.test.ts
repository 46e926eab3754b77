import { beforeAll, describe, expect, test } from 'vitest';
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import { LINUX_61_NPT } from '../../engine/profiles/linux-6.1-npt.ts';
import { PRICED_STEPS } from '../../engine/steps.ts';
import { PATCHES } from '../../strategies/index.ts';
import { RECORDED_KERNELS } from '../conform/kernels.ts';
import { loadText } from '../data/recordings.ts';
import { type Calibration, calibrate, errorsOf, residualsOf } from './calibrate.ts';
import {
  COSTS_SCHEMA,
  type CostsFile,
  type ProbedCosts,
  predictUnmeasured,
  probeCosts,
} from './costs-file.ts';

function machineOf(kernel: string) {
  const recorded = RECORDED_KERNELS.find((k) => k.name === kernel)!;
  const series = recorded.patches.map((name) => PATCHES.find((p) => p.name === name)!);
  return createCoreMachine({ series, paging: recorded.paging });
}

const { name, kernel, unit, overhead } = LINUX_61_NPT;
const HEAD = { name, kernel, unit, overhead };

let file: CostsFile;
let probed: ProbedCosts;

beforeAll(() => {
  file = COSTS_SCHEMA.parse(JSON.parse(loadText('kvm-6.1-costs.json.gz')));
  probed = probeCosts(file, machineOf);
});

/** A fit of some kernels' probes. */
function fitOf(keep: (kernel: string) => boolean): Calibration {
  const found = calibrate(
    probed.measurements.filter((m) => keep(m.kernel)),
    HEAD,
  );
  if ('error' in found) throw new Error(found.error);
  return found;
}

const stepsOf = (kernelName: string, id: string) =>
  [...probed.measurements, ...probed.unmeasured].find((m) => m.kernel === kernelName && m.id === id)?.steps;

describe('what the probes do', () => {
  test('a refused MOV takes one fault, an untagged store two, and a wide one leaves twice', () => {
    expect(stepsOf('stock', 'ro/rw-shm/mov-store-8')).toMatchObject({ 'page-fault': 1, 'emulate-decode': 1 });
    expect(stepsOf('stock', 'ro/rw-shm/push-32')).toMatchObject({ 'page-fault': 2, 'emulate-decode': 2 });
    expect(stepsOf('stock', 'ro/rw-shm/movups-store')).toMatchObject({ 'page-fault': 2, 'mmio-exit': 1 });
  });

  test('a hole that is known is found without a look-up', () => {
    expect(stepsOf('stock', 'hole/mov-store-8')).not.toHaveProperty('page-fault');
  });

  test('a page that an earlier probe read stays mapped: the store finds the entry and cannot use it', () => {
    expect(stepsOf('stock', 'plain/r-shm/mov-store-8')).not.toHaveProperty('fast-page-fault');
    expect(stepsOf('stock', 'plain/r-shm/push-32')).toMatchObject({ 'fast-page-fault': 1 });
  });

  test('gup that tells the reason is asked first, and the emulator is refused by the host', () => {
    expect(stepsOf('gup-reason', 'plain/r-shm/mov-store-8')).toMatchObject({
      'gup-slow': 1,
      'host-fault': 1,
    });
    expect(stepsOf('gup-reason', 'ro/r-shm/mov-store-8')).not.toHaveProperty('gup-slow');
  });

  test('an own/ probe starts in a VM of its own, whatever ran before it', () => {
    const push = file.probes['plain/r-shm/push-32']!;
    const own = { ...file, probes: { ...file.probes, 'own/plain/r-shm/push-32': push } };
    const { unmeasured } = probeCosts(own, machineOf);
    const alone = unmeasured.find((m) => m.kernel === 'stock' && m.id === 'own/plain/r-shm/push-32');
    expect(alone?.steps).toMatchObject({ 'page-fault': 1 });
    expect(alone?.steps).not.toHaveProperty('fast-page-fault');
  });

  test('sixteen pages share one host fault when they are read, none when they are written', () => {
    const read = stepsOf('stock', 'fault/unmapped/ro/r-shm/read');
    const write = stepsOf('stock', 'fault/unmapped/plain/rw-shm/write');
    expect((read?.['host-fault'] ?? 0) + (read?.['host-map'] ?? 0)).toBeCloseTo(1, 1);
    expect(read?.['host-fault']).toBeCloseTo(1 / 16, 1);
    expect(write?.['host-fault']).toBeCloseTo(1, 1);
  });

  test('a pass that dies is left out: the guess of 3.5 kills a guest that reads cold read-only memory', () => {
    expect(stepsOf('prepatch', 'fault/cold/ro/r-file/read')).toBeUndefined();
    expect(probed.failed).toEqual([]);
  });
});

describe('the shipped profile', () => {
  test('is what the recorded probes give', () => {
    expect(fitOf(() => true).profile).toEqual(LINUX_61_NPT);
  });

  test('explains them with few steps: median 2 %, worst 8 %, left out 5 %', () => {
    const all = fitOf(() => true);
    const errors = errorsOf(all.residuals);
    expect(errors.median).toBeLessThanOrEqual(0.02);
    expect(errors.worst).toBeLessThanOrEqual(0.08);
    expect(errorsOf(all.leaveOneOut).median).toBeLessThanOrEqual(0.05);
    expect(PRICED_STEPS.length).toBeLessThanOrEqual(16);
    expect(Object.keys(all.profile.steps)).toEqual([...PRICED_STEPS]);
    expect(Math.min(...Object.values(all.profile.steps))).toBeGreaterThan(0);
  });

  test.each(['stock', 'gup-reason', 'prepatch'])(
    'the probes of %s are predicted from the other kernels',
    (held) => {
      const { profile } = fitOf((k) => k !== held);
      const errors = errorsOf(
        residualsOf(
          profile,
          probed.measurements.filter((m) => m.kernel === held),
        ),
      );
      expect(errors.median).toBeLessThanOrEqual(0.02);
      expect(errors.worst).toBeLessThanOrEqual(0.08);
    },
  );

  test('gup reason codes make a store dearer than the flag by what was measured', () => {
    const all = [...residualsOf(LINUX_61_NPT, probed.measurements)];
    const of = (id: string) => all.find((r) => r.kernel === 'gup-reason' && r.id === id)!;
    const [gup, flag] = [of('plain/r-shm/mov-store-8'), of('ro/r-shm/mov-store-8')];
    const [measured, predicted] = [gup.measured - flag.measured, gup.predicted - flag.predicted];
    expect(Math.abs(predicted - measured) / measured).toBeLessThan(0.05);
  });
});

describe('probes that nobody measured', () => {
  const predicted = (kernelName: string, id: string): number => {
    const found = predictUnmeasured(LINUX_61_NPT, probed).find((p) => p.kernel === kernelName && p.id === id);
    return found?.predicted ?? Number.NaN;
  };
  const measured = (kernelName: string, id: string): number =>
    probed.measurements.find((m) => m.kernel === kernelName && m.id === id)?.measured ?? Number.NaN;
  const near = (a: number, b: number): void => {
    expect(Math.abs(a - b) / b).toBeLessThan(0.02);
  };

  test('a wider store costs what a byte costs', () => {
    near(predicted('stock', 'ro/rw-shm/mov-store-32'), measured('stock', 'ro/rw-shm/mov-store-8'));
    near(predicted('stock', 'plain/r-shm/mov-store-32'), measured('stock', 'plain/r-shm/mov-store-8'));
  });

  test('a LOCKed compare-and-exchange costs what an exchange costs', () => {
    near(predicted('stock', 'ro/r-shm/lock-cmpxchg-8'), measured('stock', 'ro/r-shm/xchg-8'));
  });

  test('deleting and creating a slot is both calls together', () => {
    const both = measured('stock', 'slot/delete-ro') + measured('stock', 'slot/create-ro');
    near(predicted('stock', 'slot/romd-toggle'), both);
  });

  test('a mapped page is given by gup fast, read or written', () => {
    near(
      predicted('stock', 'fault/resident/plain/rw-shm/read'),
      measured('stock', 'fault/resident/plain/rw-shm/write'),
    );
  });
});
