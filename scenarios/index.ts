/** The scenarios that come with the program, and what others need to write their own. */

import type { Scenario } from './language/scenario.ts';
import romdProbe from './readonly-memory/flash/romd-probe.ts';
import romdVarstore from './readonly-memory/flash/romd-varstore.ts';
import pageTablesInRom from './readonly-memory/guest/page-tables-in-rom.ts';
import reexecuteLoop from './readonly-memory/guest/reexecute-loop.ts';
import romExec from './readonly-memory/guest/rom-exec.ts';
import romRead from './readonly-memory/guest/rom-read.ts';
import romReadBack from './readonly-memory/guest/rom-read-back.ts';
import romReadCold from './readonly-memory/guest/rom-read-cold.ts';
import romRmw from './readonly-memory/guest/rom-rmw.ts';
import romStraddle from './readonly-memory/guest/rom-straddle.ts';
import romWrite from './readonly-memory/guest/rom-write.ts';
import romWriteCold from './readonly-memory/guest/rom-write-cold.ts';
import romWriteUnemulatable from './readonly-memory/guest/rom-write-unemulatable.ts';
import aliasUpdate from './readonly-memory/host/alias-update.ts';
import faultStorm from './readonly-memory/host/fault-storm.ts';
import migrate from './readonly-memory/host/migrate.ts';
import pciRom from './readonly-memory/host/pci-rom.ts';
import slotFlip from './readonly-memory/host/slot-flip.ts';

export type { Device, DeviceFactory, DeviceHost } from '../engine/vmm/devices/device.ts';
export { FLASH_MODELS, type PflashSpec, pflash } from '../engine/vmm/devices/pflash.ts';
export type { Place } from '../engine/vmm/place.ts';
export { Vmm } from '../engine/vmm/vmm.ts';
export { type ClaimRow, type Count, count, ends, lives } from './language/claims.ts';
export { Guest } from './language/guest.ts';
export { type Checked, checkScenario, checkStrategy } from './language/modules.ts';
export { type AnyParams, choice, int, type ParamSpec, resolveParams } from './language/params.ts';
export { checkMemory, device, hole, ram, rom } from './language/regions.ts';
export * from './language/registers.ts';
export { defineScenario, type Scenario } from './language/scenario.ts';
export {
  type CompareOptions,
  compare,
  layoutInWords,
  type MachineRequest,
  type Measure,
  type Progress,
  paramsFor,
  patchInfo,
  scenarioInfo,
  strategyInfo,
} from './run/runner.ts';

/** All scenarios, the simple questions first. */
export const SCENARIOS: readonly Scenario[] = [
  romRead,
  romReadCold,
  romWrite,
  romWriteCold,
  romReadBack,
  romRmw,
  romExec,
  romWriteUnemulatable,
  romStraddle,
  aliasUpdate,
  pciRom,
  slotFlip,
  migrate,
  faultStorm,
  romdProbe,
  romdVarstore,
  pageTablesInRom,
  reexecuteLoop,
];

/** A scenario by its name. */
export const findScenario = (name: string): Scenario | undefined => SCENARIOS.find((s) => s.name === name);
