/**
 * Parallel flash with the Intel command set, as firmware finds it under a VMM: in array mode the guest reads the memory
 * directly (ROMD), a command takes it to command mode, where every access is MMIO. VMMs differ in what their chip
 * does beyond that, so there is a model for each, and a scenario or a user says which is meant.
 */
import type { Settings } from '../settings.ts';
import { FLASH_MODELS, type Flash, type FlashModel, type PflashSpec } from './cfi.ts';
import type { DeviceHost } from './device.ts';
import { CrosvmFlash } from './pflash-crosvm.ts';
import { KvmtoolFlash } from './pflash-kvmtool.ts';
import { QemuFlash } from './pflash-qemu.ts';

export { FLASH_MODELS, type Flash, type FlashModel, type PflashSpec } from './cfi.ts';

const MAKERS: Readonly<Record<FlashModel, (host: DeviceHost, spec: PflashSpec) => Flash>> = {
  'qemu-9': (host, spec) => new QemuFlash(host, spec),
  kvmtool: (host) => new KvmtoolFlash(host),
  crosvm: (host, spec) => new CrosvmFlash(host, spec),
};

/** A flash chip for a `rom` region's `device`. Throws on a model nobody has. */
export const pflash =
  (spec: PflashSpec) =>
  (host: DeviceHost, settings: Settings = {}): Flash => {
    const wanted = spec.model ?? settings.flash ?? 'qemu-9';
    const model = FLASH_MODELS.find((m) => m === wanted);
    if (model === undefined)
      throw new Error(`no flash model '${wanted}' (known: ${FLASH_MODELS.join(', ')})`);
    return MAKERS[model](host, spec);
  };
