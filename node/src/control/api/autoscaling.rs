//! What decides the counts of an environment: not yet part of the state, so that both calls are
//! refused.

use fleet_proto::v1;
use tonic::{Code, Response, Status};

use crate::control::{
    Context,
    refusal::{detail, with_detail},
};

pub(super) async fn set(
    _: &Context,
    _: v1::SetAutoscalingRequest,
) -> Result<Response<v1::EnvironmentResponse>, Status> {
    Err(absent())
}

pub(super) async fn describe(
    _: &Context,
    _: v1::DescribeAutoscalingRequest,
) -> Result<Response<v1::DescribeAutoscalingResponse>, Status> {
    Err(absent())
}

fn absent() -> Status {
    let hint = "counts are set by hand: fleet env autoscaling desired ENV RELEASE COUNT";
    let what = "this version decides no counts by itself";
    with_detail(Code::FailedPrecondition, what, &detail("NOT_YET", hint))
}
