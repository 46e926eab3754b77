/** Prices of Linux 6.1 with kvm-amd and nested paging. `compare calibrate` makes it again from the measurements. */
import type { CostProfile } from '../cost.ts';

/** What `compare calibrate` fits to `scenarios/data/kvm-6.1-costs.json.gz`. */
export const LINUX_61_NPT: CostProfile = {
  name: 'linux-6.1-npt',
  kernel: 'Linux 6.1.192, kvm-amd, nested paging, one processor, instruction-counting clock',
  unit: 'instructions',
  overhead: 6,
  steps: {
    syscall: 325,
    'userspace-exit': 922.25,
    'world-switch': 1251.3,
    pio: 422.31,
    'page-fault': 532.52,
    'fast-page-fault': 477.92,
    'gup-fast': 365.73,
    'gup-slow': 659.52,
    'host-fault': 2562,
    'host-map': 229.32,
    'host-io': 5561.8,
    'stage2-map': 2206.4,
    'emulate-decode': 1233,
    'emulate-access': 478.22,
    'mmio-exit': 705.41,
    'slot-change': 22524,
  },
};
