/** The scenarios that come with the program, and what others need to write their own. */
import aliasUpdate from './alias-update.ts';
import faultStorm from './fault-storm.ts';
import migrate from './migrate.ts';
import pageTablesInRom from './page-tables-in-rom.ts';
import pciRom from './pci-rom.ts';
import reexecuteLoop from './reexecute-loop.ts';
import romExec from './rom-exec.ts';
import romRead from './rom-read.ts';
import romReadBack from './rom-read-back.ts';
import romReadCold from './rom-read-cold.ts';
import romRmw from './rom-rmw.ts';
import romStraddle from './rom-straddle.ts';
import romWrite from './rom-write.ts';
import romWriteCold from './rom-write-cold.ts';
import romWriteUnemulatable from './rom-write-unemulatable.ts';
import romdProbe from './romd-probe.ts';
import romdVarstore from './romd-varstore.ts';
import type { Scenario } from './scenario.ts';
import slotFlip from './slot-flip.ts';

export { type ClaimRow, type Count, count, ends, lives } from './claims.ts';
export type { Device, DeviceFactory, DeviceHost } from './devices/device.ts';
export { pflash } from './devices/pflash-cfi01.ts';
export { Guest } from './guest.ts';
export { type Checked, checkScenario, checkStrategy } from './modules.ts';
export { type AnyParams, choice, int, type ParamSpec, resolveParams } from './params.ts';
export { checkMemory, device, hole, ram, rom } from './regions.ts';
export * from './registers.ts';
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
} from './runner.ts';
export { defineScenario, type Place, type Scenario } from './scenario.ts';
export { Vmm } from './vmm.ts';

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
