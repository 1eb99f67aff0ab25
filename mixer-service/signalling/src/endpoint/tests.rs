//! The machine on pretended time: two endpoints on a bad network, and datagrams by hand.

mod abuse;
mod answers;
mod calls;
mod changes;
mod hand;
mod lossy;
mod outgoing;
mod registering;
mod reliable;
mod streams;
mod timers;
mod world;
