import DormouseMedia
import DormouseSupport

/// Which media files messages may name, what they may cost, and how much of what was encoded is kept.
public struct MediaOptions: Sendable {
  /// Folders of the files that messages may name.
  public var roots = MediaRoots.none
  /// What reading and decoding a file may cost.
  public var file = MediaFileOptions()
  /// Bytes of encoded content that stay for later sessions.
  public var cacheByteLimit: UInt64 = 256 << 20
  /// The folder of a Whisper model that transcribes audio for a model that does not hear; nil: none.
  public var speechModel: String?

  /// No files, the standard limits, no speech model.
  public init() {}

  /// Bytes of a file that a message holds.
  var dataByteLimit: Int { file.byteLimit == 0 ? Self.standardDataByteLimit : Int(clamping: file.byteLimit) }
  private static let standardDataByteLimit = 256 << 20

  /// Reads `media_config`.
  /// - Throws: `Failure(.invalidArgument)` naming the member, `.notFound` for a folder that is not there.
  public init(json: String) throws(Failure) {
    self.init()
    let fields = try JSONFields(argument: json, name: "media_config")
    try fields.refuseMembers(besides: [
      "roots", "base", "max_bytes", "max_pixels", "max_frames", "max_seconds", "max_output_bytes", "time_limit",
      "cache_bytes", "speech_model",
    ])
    let base = try fields.optionalString("base")
    if let folders = try fields.optionalStrings("roots") {
      roots = try withContext("media_config: roots and base") { () throws(Failure) in
        try MediaRoots(folders, base: base)
      }
    }
    let bytes = 1...Int.max
    file.byteLimit = UInt64(try fields.optionalInteger("max_bytes", bytes) ?? 0)
    file.pixelLimit = UInt64(try fields.optionalInteger("max_pixels", bytes) ?? 0)
    file.frameLimit = UInt64(try fields.optionalInteger("max_frames", bytes) ?? 0)
    file.outputLimit = UInt64(try fields.optionalInteger("max_output_bytes", bytes) ?? 0)
    file.secondLimit = try fields.optionalNumber("max_seconds", 0...1e9, except: 0) ?? 0
    file.timeLimit = try fields.optionalNumber("time_limit", 0...1e9, except: 0) ?? 0
    cacheByteLimit = try fields.optionalInteger("cache_bytes", 0...Int.max).map { UInt64($0) } ?? cacheByteLimit
    speechModel = try fields.optionalString("speech_model")
  }
}
