//! The routes over a real socket, with actors that only answer.
