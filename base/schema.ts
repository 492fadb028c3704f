import * as z from 'zod/mini';

/**
 * Lists and maps of what comes from others. Their check ends at the first thing that is wrong, as zod's own collect what is wrong with each
 * element: for a megabyte of them that takes seconds and gigabytes.
 */

/** A list of such elements. `checks`: of the list itself, such as its length, made before elements are looked at. */
export const list = <T extends z.ZodMiniType>(of: T, ...checks: z.core.$ZodCheck<unknown[]>[]) =>
  z.pipe(
    z.array(z.unknown(), 'must be a list').check(...checks),
    z.transform((items, { issues }): z.output<T>[] => {
      const found = new Array(items.length);
      for (const [at, item] of items.entries()) {
        const element = checked(of, item, at, issues);
        if (!element) return z.NEVER;
        found[at] = element.value;
      }
      return found;
    }),
  );

/** An object with any keys. */
export const record = <T extends z.ZodMiniType>(key: z.ZodMiniType<string>, of: T) =>
  z.pipe(
    z.record(z.string(), z.unknown()),
    z.transform((entries, { issues }) => {
      const found: Record<string, z.output<T>> = {};
      for (const [name, value] of Object.entries(entries)) {
        // Would not be a key of the object, but its prototype.
        if (name === '__proto__') continue;
        const element = checked(key, name, name, issues) && checked(of, value, name, issues);
        if (!element) return z.NEVER;
        found[name] = element.value;
      }
      return found;
    }),
  );

/** Null with what is wrong among `issues`. */
function checked<T extends z.ZodMiniType>(
  schema: T,
  value: unknown,
  at: PropertyKey,
  issues: z.core.$ZodRawIssue[],
): { value: z.output<T> } | null {
  const found = schema._zod.run({ value, issues: [] }, { async: false }) as z.core.ParsePayload<z.output<T>>;
  if (!found.issues.length) return found;
  // Checks of the whole do not follow: it is not there.
  for (const issue of z.core.util.prefixIssues(at, found.issues)) issues.push({ ...issue, continue: false });
  return null;
}
