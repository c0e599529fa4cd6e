//! (blobs: to be written once that room is merged)
