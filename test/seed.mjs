// One seed for all property tests, so that a run can be repeated; DPMESH_TEST_SEED takes another.
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.DPMESH_TEST_SEED ?? 1) });
