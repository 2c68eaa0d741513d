// A payment just confirmed is settled and mailed within seconds: look again, until its story is told.
setTimeout(() => location.reload(), 3000);
