import CDormouseMedia
import DormouseSupport
import Testing

@testable import DormouseMedia

/// What goes to the media library and comes from it: every member is its own.
@Suite struct DocumentsTests {
  @Test func everyOptionReachesTheLibrary() {
    var options = MediaFileOptions()
    (options.threadCount, options.byteLimit, options.pixelLimit, options.frameLimit) = (1, 2, 3, 4)
    (options.outputLimit, options.secondLimit, options.timeLimit) = (5, 6.5, 7.5)
    let found = options.inC
    #expect(found.struct_size == UInt32(MemoryLayout<dormouse_media_options>.size))
    #expect(found.thread_count == 1)
    #expect([found.byte_limit, found.pixel_limit, found.frame_limit, found.output_limit] == [2, 3, 4, 5])
    #expect([found.second_limit, found.time_limit] == [6.5, 7.5])
    let standard = MediaFileOptions().inC
    #expect([standard.byte_limit, standard.pixel_limit, standard.frame_limit, standard.output_limit] == [0, 0, 0, 0])
    #expect([standard.second_limit, standard.time_limit] == [0, 0] && standard.thread_count == 0)
  }

  @Test func everyNumberOfAFileIsTold() {
    var info = dormouse_media_info()
    withUnsafeMutableBytes(of: &info.format) { $0.copyBytes(from: Array("ogg\0rest".utf8)) }
    (info.width, info.height, info.frame_count) = (1, 2, 3)
    (info.duration, info.frame_rate, info.audio_duration) = (4.5, 5.5, 6.5)
    (info.channel_count, info.sample_rate) = (7, 8)
    let found = MediaDescription(info)
    #expect(found.format == "ogg")
    #expect((found.width, found.height, found.frameCount) == (1, 2, 3))
    #expect((found.duration, found.frameRate, found.audioDuration) == (4.5, 5.5, 6.5))
    #expect((found.channelCount, found.sampleRate) == (7, 8))
  }
}
