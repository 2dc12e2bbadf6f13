"""What is learnt beside the contrastive objective; the list is :data:`sora_video.configs.tasks.TASKS`."""
