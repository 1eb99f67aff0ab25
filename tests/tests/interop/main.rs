//! Programs that we did not write, against the ones that we did, and a bad network between: in one executable, so that they
//! wait beside each other. `tests/INTEROP.md` keeps the results.

mod bad_network;
mod house;
mod proxy;
mod scanners;
mod sipp;
mod telephones;
