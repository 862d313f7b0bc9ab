import DormouseSupport

/// An image, or the frames of a video.
///
/// Thread: one call at a time.
protocol FrameTrack: AnyObject {
  /// Pixels of a frame as shown, as the file tells.
  var size: (width: Int, height: Int) { get }

  /// When each frame is shown, in seconds after the first one, ascending.
  var timestamps: [Double] { get }

  /// Seconds from the first frame to the end of the last; 0 for an image.
  var duration: Double { get }

  /// The frame `index` of `timestamps`, as shown. Quick where the indices ascend from call to call.
  func decode(_ index: Int) throws(Failure) -> RGBFrame
}
