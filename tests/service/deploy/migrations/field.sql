CREATE TABLE fun_ai_deploy_job (
  id varchar(64) NOT NULL,                 -- a UUID in text
  type varchar(64) NOT NULL,
  app_id varchar(64) DEFAULT NULL,
  status varchar(32) NOT NULL,             -- PENDING RUNNING SUCCEEDED FAILED CANCELLED
  payload_json text DEFAULT NULL,
  error_message varchar(1024) DEFAULT NULL,
  runner_id varchar(128) DEFAULT NULL,
  lease_expire_at bigint DEFAULT NULL,     -- epoch ms
  create_time datetime(6) DEFAULT NULL,
  update_time datetime(6) DEFAULT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (id),
  KEY idx_fun_ai_deploy_job_status_create_time (status, create_time),
  KEY idx_fun_ai_deploy_job_app_id_status (app_id, status, create_time),
  KEY idx_fun_ai_deploy_job_runner_id (runner_id),
  KEY idx_fun_ai_deploy_job_lease_expire_at (lease_expire_at)
);
CREATE TABLE fun_ai_deploy_runtime_node (
  id bigint NOT NULL,                      -- no AUTO_INCREMENT: the application makes it (a nanosecond clock)
  name varchar(128) NOT NULL,
  agent_base_url varchar(512) DEFAULT NULL,
  gateway_base_url varchar(512) DEFAULT NULL,
  enabled int NOT NULL,
  weight int NOT NULL,
  last_heartbeat_at datetime(6) DEFAULT NULL,
  disk_free_pct double DEFAULT NULL,
  disk_free_bytes bigint DEFAULT NULL,
  container_count int DEFAULT NULL,
  create_time datetime(6) DEFAULT NULL,
  update_time datetime(6) DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY uk_fun_ai_deploy_runtime_node_name (name)
);
CREATE TABLE fun_ai_deploy_runtime_placement (
  app_id varchar(128) NOT NULL,
  node_id bigint NOT NULL,
  last_active_at bigint NOT NULL,          -- epoch ms
  create_time datetime(6) DEFAULT NULL,
  update_time datetime(6) DEFAULT NULL,
  PRIMARY KEY (app_id)
);
CREATE TABLE fun_ai_deploy_app_run (
  app_id varchar(128) NOT NULL,
  node_id bigint DEFAULT NULL,
  last_job_id varchar(64) DEFAULT NULL,
  last_job_status varchar(32) DEFAULT NULL,
  last_error varchar(1024) DEFAULT NULL,
  last_deployed_at bigint DEFAULT NULL,
  last_active_at bigint DEFAULT NULL,
  create_time datetime(6) DEFAULT NULL,
  update_time datetime(6) DEFAULT NULL,
  PRIMARY KEY (app_id)
);
