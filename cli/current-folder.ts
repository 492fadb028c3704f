// Must be imported first: other modules fail without a current folder.
try {
  process.cwd();
} catch {
  console.error('dpmesh: the current folder no longer exists; change to another one');
  process.exit(2);
}
