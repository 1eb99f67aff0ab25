//! What both programs of Dialroom need from the machine: clock, durable store, randomness, secrets, logs.
