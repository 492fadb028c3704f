// Imported before all else: without it nothing here works, yargs least of all.
try {
  process.cwd();
} catch {
  console.error('dpmesh: the current folder is no longer there: cd into another one');
  process.exit(2);
}
