//! The learned policy: a graph neural network that says of each service how much capacity is there before the demand is, and how busy its
//! instances may be before an autoscaler orders more.
//!
//! Both are one decision. What reacts fast needs little ahead; what starts slowly, or is few, or stands where an entry has no time to spare,
//! needs much. How much follows from demand as it may come, minute by minute, through a call graph, and no formula gives it; trying every service by itself
//! takes thousands of trials. The net says it at one look ([`States`]); an answer of 0 everywhere is the floor's rule ([`Action`]). What it says is
//! tried on minutes drawn from the forecast ([`Region::minutes`], [`Plan::judged`]), and made safe there ([`Region::secured`]): whatever the net says, a plan
//! keeps as many minutes as is asked, or the region cannot.
//!
//! - [`Region::searched`] looks for the same service by service: slow, and what the net is measured against.
//! - Training stands on the same [`Region`], [`States`] and [`Plan`] as plans.

mod action;
mod candidate;
mod cheapest;
mod contract;
mod explain;
mod judge;
mod region;
mod search;
mod state;

pub use crate::autoscaler::Minute;
pub use action::{ACTIONS, Action, Plan};
pub(crate) use candidate::Proposal;
pub(crate) use contract::contract_of;
pub use contract::{ANSWER, INPUTS, KEY_MOST_SERVICES, Network, NetworkError, contract};
pub use explain::{INFLUENCES, Influence, Learned, Moved, influences};
pub use judge::Judged;
pub use region::Region;
pub use search::{ATTAINMENT, Searched};
pub(crate) use state::push;
pub use state::{CALL_FEATURES, ENTRY_FEATURES, MOST, SERVICE_FEATURES, States, VISIT_FEATURES};
