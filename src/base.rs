//! Words that every part of the operator uses: issues, names, quantities, objects, conditions. Pure.

pub mod condition;
pub mod crd;
pub mod endpoint;
pub mod hash;
pub mod image;
pub mod issue;
pub mod managers;
pub mod model;
pub mod names;
pub mod object;
pub mod quantity;
pub mod secret;
pub mod seen;
pub mod settings;
pub mod url;
