//! A simulated Microsoft Graph tenant: tokens, events, delta, subscriptions, mail consequences.
