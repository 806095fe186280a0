// Packages that are loaded before source maps are switched on. Node keeps the maps of all that is loaded later, with their sources: those of the
// client of Redis take 4 MB.
import 'redis';
