import DormouseSupport
import Testing

@testable import DormouseMedia

/// Configurations in the layouts of the hub.
@Suite struct VisionConfigurationTests {
  /// Kimi K2.5's config.json, without its text model and what has nothing to do with towers.
  private static let kimiK25 = #"""
    {"model_type": "kimi_k25", "media_placeholder_token_id": 163605, "text_config": {"hidden_size": 7168},
     "vision_config": {"init_pos_emb_height": 64, "init_pos_emb_time": 4, "init_pos_emb_width": 64,
       "merge_kernel_size": [2, 2], "merge_type": "sd2_tpool", "mm_hidden_size": 1152, "mm_projector_type": "patchmerger",
       "model_type": "", "patch_size": 14, "pos_emb_type": "divided_fixed", "projector_hidden_act": "gelu",
       "projector_ln_eps": 1e-05, "text_hidden_size": 7168, "video_attn_type": "spatial_temporal",
       "vt_hidden_size": 1152, "vt_intermediate_size": 4304, "vt_num_attention_heads": 16, "vt_num_hidden_layers": 27}}
    """#
  /// Its preprocessor_config.json.
  private static let mediaProcessor = #"""
    {"media_proc_cfg": {"in_patch_limit": 16384, "patch_size": 14, "image_mean": [0.5, 0.5, 0.5],
      "image_std": [0.5, 0.5, 0.5], "merge_kernel_size": 2, "fixed_output_tokens": null,
      "patch_limit_on_one_side": 512, "in_patch_limit_each_frame": 4096, "in_patch_limit_video": 10000,
      "sample_fps": 2.0, "max_num_frames_each_video": null, "temporal_merge_kernel_size": 4,
      "timestamp_mode": "mm:ss"}}
    """#

  private func json(_ text: String) throws -> JSON { try JSON.parse(argument: text, name: "config.json") }

  @Test func kimiK25OfTheHub() throws {
    let c = try #require(try VisionConfiguration(json: json(Self.kimiK25)))
    #expect(c.hiddenSize == 1152 && c.intermediateSize == 4304 && c.hiddenLayerCount == 27)
    #expect(c.attentionHeadCount == 16 && c.headDimension == 72 && c.mergedWidth == 4608 && c.patchWidth == 588)
    #expect(c.positions?.height == 64 && c.positions?.width == 64 && c.positions?.frames == 4 && c.ropeTheta == 10_000)
    // One placeholder for both.
    #expect(c.tokens.image == 163605 && c.tokens.video == 163605)
  }

  /// Names of the hub and of transformers in one, and transformers' defaults where neither is.
  @Test func defaults() throws {
    let bare = try VisionConfiguration(json: json(#"{"model_type": "kimi_k25", "text_config": {"hidden_size": 7168}}"#))
    var published = try #require(try VisionConfiguration(json: json(Self.kimiK25)))
    #expect(bare?.tokens.image == 163605 && bare?.tokens.video == 163840)
    published.tokens = try #require(bare?.tokens)
    #expect(bare == published)
  }

  /// A video's frames share the limit of a chunk, and its times are written as the file says.
  @Test func mediaProcessorOfTheHub() throws {
    let fields = try JSONFields(json(Self.mediaProcessor), file: "preprocessor_config.json")
    let images = try ImageProcessorConfiguration(fields)
    #expect(images.rule == .patchesAndSide(maximumPatches: 16384, maximumSide: 512) && images.arithmetic == .pillow)
    let videos = try VideoProcessorConfiguration(fields)
    #expect(videos.frame.rule == .patchesAndSide(maximumPatches: 4096, maximumSide: 512))
    #expect(videos.rule(frames: 4) == .patchesAndSide(maximumPatches: 2500, maximumSide: 512))
    #expect(videos.rule(frames: 1) == .patchesAndSide(maximumPatches: 4096, maximumSide: 512))
    let plan = try VideoPlan(videos, frameCount: 300, framesPerSecond: 30, width: 1920, height: 1080)
    #expect(plan.chunks.map(\.frames.count) == [4, 4, 4, 4, 4])
    #expect(plan.chunks[1].frames == [63, 79, 94, 110] && plan.chunks[1].timestamp == "00:02")
    #expect(plan.chunks[0].grid == PatchGrid(frames: 4, height: 38, width: 68))
  }
}
